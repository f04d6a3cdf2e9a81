package config

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const statusPattern = `^[1-9][0-9][0-9](-[1-9][0-9][0-9])?( *, *[1-9][0-9][0-9](-[1-9][0-9][0-9])?)*$`

var statusForm = regexp.MustCompile(statusPattern)

// statusRanges reads 200, "200-399" and "200,204,300-399".
func statusRanges(into *[]StatusRange) value {
	form := schema{"anyOf": []schema{{"type": "string", "pattern": statusPattern}, {"type": "integer", "minimum": 100, "maximum": 599}}}
	return scalar[[]StatusRange]{into: into, kind: "status codes", want: "status codes such as 200-399",
		accepts: []scalarType{textual, integer}, form: form, parse: parseStatusRanges}
}

func parseStatusRanges(s string) ([]StatusRange, error) {
	if !statusForm.MatchString(s) {
		return nil, fmt.Errorf("%q are not status codes; write codes and ranges such as 200-399 or 200,204,300-399", s)
	}
	var ranges []StatusRange
	for part := range strings.SplitSeq(s, ",") {
		low, high, isRange := strings.Cut(strings.TrimSpace(part), "-")
		if !isRange {
			high = low
		}
		r := StatusRange{}
		r.Low, _ = strconv.Atoi(low) // the form allows digits only
		r.High, _ = strconv.Atoi(high)
		switch {
		case r.Low > r.High:
			return nil, fmt.Errorf("%q: %s is above %s; did you mean %s-%s?", s, low, high, high, low)
		case r.High > 599:
			return nil, fmt.Errorf("%q: a status is 100 to 599", s)
		}
		ranges = append(ranges, r)
	}
	return ranges, nil
}

// headers is a mapping of names to values.
type headers struct{ into *[]Header }

var (
	tokenForm = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$") // RFC 9110 section 5.6.2
	valueForm = regexp.MustCompile(`^[\t\x20-\x7e\x{80}-\x{10ffff}]*$`)
)

func (h headers) read(r *reader, path string, n *node) {
	*h.into = nil
	switch n.kind {
	case kindBroken, kindNull, kindMapping:
	default:
		r.faults.add(n.at, path, "wants a section of name: value, not %s", n.kind)
	}
	for _, e := range n.entries {
		at := join(path, e.key)
		r.written[at] = e.at
		header := Header{Name: e.key}
		h.item(&header).read(r, at, e.value)
		if fault := headerNameFault(e.key); fault != "" {
			r.faults.add(e.at, at, "%s", fault)
		}
		if slices.ContainsFunc(*h.into, func(o Header) bool { return strings.EqualFold(o.Name, e.key) }) {
			r.faults.add(e.at, at, "this field stands here twice; remove one of them")
		}
		*h.into = append(*h.into, header)
	}
}

func (h headers) item(header *Header) value {
	return text(&header.Value, "text", "text", "", func(s string) error {
		if !valueForm.MatchString(s) || s != strings.TrimSpace(s) {
			return fmt.Errorf("%q cannot be a field's value: no line breaks or controls, no blanks around it", s)
		}
		return nil
	})
}

func headerNameFault(name string) string {
	if !tokenForm.MatchString(name) {
		return fmt.Sprintf("%q is not the name of a header field", name)
	}
	switch strings.ToLower(name) {
	case "host":
		return "write it as check.host"
	case "connection", "content-length", "transfer-encoding", "upgrade", "te", "trailer", "expect", "keep-alive":
		return "this field belongs to the connection and cannot be set; remove it"
	}
	return ""
}

func (h headers) schema() schema {
	return schema{"type": []string{"object", "null"}, "additionalProperties": h.item(new(Header)).schema()}
}

func (h headers) describe() string { return "section of name: value" }

// child: a variable cannot tell X_A from X-A; a new name takes the usual one.
func (h headers) child(segment string, written *node) (key, bool) {
	name := strings.ReplaceAll(segment, "_", "-")
	for _, e := range entriesOf(written) {
		if fold(e.key) == segment {
			name = e.key
		}
	}
	return key{name: name, value: h.item(new(Header))}, segment != ""
}

func (h headers) names(written *node) []string { return keysOf(written) }
