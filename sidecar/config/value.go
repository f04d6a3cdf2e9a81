package config

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// value is what a key holds: how it is read, and how it is described to editors and people.
type value interface {
	// read stores what n says, or reports why it cannot. path names the key in faults.
	read(r *reader, path string, n *node)
	// schema is the JSON Schema of what read takes from a file.
	schema() schema
	// describe is the type in a few words.
	describe() string
}

// container is a value with keys of its own, which environment variables can reach.
type container interface {
	value
	// child is the key that a segment of a variable's name means, lower case with underscores,
	// and what it holds; written are the keys that the file already has.
	child(segment string, written *node) (key, bool)
	// names are the keys that are known, for hints.
	names(written *node) []string
}

// reader fills a Config from nodes and collects what is wrong.
type reader struct {
	faults  faults
	written map[string]position // every key that was written anywhere, by path
	files   files
	home    *document // the file; nil without one

	settings []Setting // every value that was taken, in the order of the table
}

// fault reports what is wrong with the key at path, at its position or that of the nearest section around it.
func (r *reader) fault(path, format string, args ...any) {
	r.faults.add(r.at(path), path, format, args...)
}

func (r *reader) at(path string) position {
	for p := path; p != ""; p = parent(p) {
		if at, ok := r.written[p]; ok {
			return at
		}
	}
	if r.home != nil {
		return r.home.at(1, 1)
	}
	return position{}
}

// isWritten reports whether the key was written, rather than left to its default.
func (r *reader) isWritten(path string) bool {
	_, ok := r.written[path]
	return ok
}

func parent(path string) string {
	return path[:max(0, strings.LastIndexAny(path, ".["))]
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// scalar is a value that is written as one word or text.
type scalar[T any] struct {
	into    *T
	kind    string // for people: "duration, 10ms to 1h"
	want    string // for faults: "a duration such as 500ms or 2s"
	accepts []scalarType
	parse   func(string) (T, error)
	form    schema
}

func (s scalar[T]) read(r *reader, path string, n *node) {
	text, ok := s.text(r, path, n)
	if !ok {
		return
	}
	parsed, err := s.parse(text)
	if err != nil {
		r.faults.add(n.at, path, "%v", err)
		return
	}
	*s.into = parsed
	r.settle(path, text, parsed)
}

// text is the scalar's text when it is of an accepted type.
func (s scalar[T]) text(r *reader, path string, n *node) (string, bool) {
	switch {
	case n.kind == kindBroken:
		return "", false
	case n.kind == kindNull:
		r.faults.add(n.at, path, "no value; write %s, or remove the key", s.want)
		return "", false
	case n.kind != kindScalar:
		r.faults.add(n.at, path, "wants %s, not %s", s.want, n.kind)
		return "", false
	case n.scalar == untyped || slices.Contains(s.accepts, n.scalar):
		return n.text, true
	}
	r.faults.add(n.at, path, "wants %s, not %s%s", s.want, n.scalar, s.requote(n))
	return "", false
}

// requote is the hint for a value that only quotes make the wrong type.
func (s scalar[T]) requote(n *node) string {
	if slices.Contains(s.accepts, textual) {
		return fmt.Sprintf("; write %q with the quotes", n.text)
	}
	if _, err := s.parse(n.text); err == nil {
		return fmt.Sprintf("; write %s without quotes", n.text)
	}
	if slices.Contains(s.accepts, boolean) {
		return map[string]string{"yes": "; write true", "on": "; write true", "no": "; write false", "off": "; write false"}[strings.ToLower(n.text)]
	}
	return ""
}

func (s scalar[T]) schema() schema   { return orVariable(s.form) }
func (s scalar[T]) describe() string { return s.kind }

// text is any text that check accepts; check may be nil.
func text(into *string, kind, want string, pattern string, check func(string) error) value {
	form := schema{"type": "string"}
	if pattern != "" {
		form["pattern"] = pattern
	}
	return scalar[string]{into: into, kind: kind, want: want, accepts: []scalarType{textual}, form: form,
		parse: func(s string) (string, error) {
			if check == nil {
				return s, nil
			}
			return s, check(s)
		}}
}

func yesNo(into *bool) value {
	return scalar[bool]{into: into, kind: "true or false", want: "true or false", accepts: []scalarType{boolean},
		form: schema{"type": "boolean"}, parse: parseBool}
}

func parseBool(s string) (bool, error) {
	switch strings.ToLower(s) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, fmt.Errorf("%q is neither true nor false", s)
}

func number(into *int, low, high int) value {
	want := fmt.Sprintf("a whole number from %d to %d", low, high)
	return scalar[int]{into: into, kind: fmt.Sprintf("number, %d to %d", low, high), want: want, accepts: []scalarType{integer},
		form: schema{"type": "integer", "minimum": low, "maximum": high},
		parse: func(s string) (int, error) {
			n, err := strconv.Atoi(strings.TrimSpace(s))
			if err != nil || n < low || n > high {
				return 0, fmt.Errorf("%q is not %s", s, want)
			}
			return n, nil
		}}
}

const durationPattern = `^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$`

var durationForm = regexp.MustCompile(durationPattern)

func duration(into *time.Duration, low, high time.Duration) value {
	limits := fmt.Sprintf("%s to %s", short(low), short(high))
	form := schema{"type": "string", "pattern": durationPattern}
	if low == 0 {
		form = schema{"anyOf": []schema{form, {"const": 0}}}
	}
	return scalar[time.Duration]{into: into, kind: "duration, " + limits, want: "a duration such as 500ms or 2s",
		accepts: []scalarType{textual, integer}, form: form,
		parse: func(s string) (time.Duration, error) { return parseDuration(s, low, high) }}
}

func parseDuration(s string, low, high time.Duration) (time.Duration, error) {
	if s == "0" && low == 0 {
		return 0, nil
	}
	if _, err := strconv.Atoi(s); err == nil {
		return 0, fmt.Errorf("%q has no unit; write %ss or %sms", s, s, s)
	}
	d, err := time.ParseDuration(s)
	if err != nil || !durationForm.MatchString(s) {
		return 0, fmt.Errorf("%q is not a duration; write one such as 500ms, 2s or 1m30s", s)
	}
	if d < low || d > high {
		return 0, fmt.Errorf("%s is out of range; it may be %s to %s", s, short(low), short(high))
	}
	return d, nil
}

// short is a duration without the zero units that String adds.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	if d == 0 {
		return "0"
	}
	return s
}

const sizePattern = `^[0-9]+(B|KiB|MiB|GiB)$`

func size(into *int64, low, high int64) value {
	return scalar[int64]{into: into, kind: fmt.Sprintf("size, %s to %s", formatSize(low), formatSize(high)), want: "a size such as 64KiB",
		accepts: []scalarType{textual}, form: schema{"type": "string", "pattern": sizePattern},
		parse: func(s string) (int64, error) {
			n, err := parseSize(s)
			if err != nil {
				return 0, err
			}
			if n < low || n > high {
				return 0, fmt.Errorf("%s is out of range; it may be %s to %s", s, formatSize(low), formatSize(high))
			}
			return n, nil
		}}
}

// sizeOrAuto is a size, or auto, which is stored as 0.
func sizeOrAuto(into *int64, low, high int64) value {
	inner := size(into, low, high).(scalar[int64])
	parse := inner.parse
	inner.kind = "auto, or " + inner.kind
	inner.want = "auto or a size such as 64MiB"
	inner.form = schema{"anyOf": []schema{{"const": "auto"}, inner.form}}
	inner.parse = func(s string) (int64, error) {
		if s == "auto" {
			return 0, nil
		}
		return parse(s)
	}
	return inner
}

var sizeForm = regexp.MustCompile(`^([0-9]{1,9})([A-Za-z]+)$`)

func parseSize(s string) (int64, error) {
	units := map[string]int64{"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
	parts := sizeForm.FindStringSubmatch(s)
	if parts == nil {
		return 0, fmt.Errorf("%q is not a size; write one such as 512B, 64KiB or 1MiB", s)
	}
	unit, ok := units[parts[2]]
	if !ok {
		letter := strings.ToUpper(parts[2][:1])
		guess := parts[1] + letter + "iB"
		if !strings.Contains("KMG", letter) {
			guess = parts[1] + "KiB"
		}
		return 0, fmt.Errorf("%q has an unknown unit (B, KiB, MiB or GiB); did you mean %q?", s, guess)
	}
	n, err := strconv.ParseInt(parts[1], 10, 64)
	return n * unit, err
}

func formatSize(n int64) string {
	for _, u := range []struct {
		name string
		size int64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if n >= u.size && n%u.size == 0 {
			return strconv.FormatInt(n/u.size, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10) + "B"
}

const percentPattern = `^[0-9]+(\.[0-9]+)?%$`

var percentForm = regexp.MustCompile(percentPattern)

// percent reads into a share: 10% is 0.1. high is in percent.
func percent(into *float64, high float64) value {
	return scalar[float64]{into: into, kind: fmt.Sprintf("percentage, 0%% to %g%%", high), want: "a percentage such as 10%",
		accepts: []scalarType{textual}, form: schema{"type": "string", "pattern": percentPattern},
		parse: func(s string) (float64, error) {
			if !percentForm.MatchString(s) {
				return 0, fmt.Errorf("%q is not a percentage; write one such as 10%%", s)
			}
			n, err := strconv.ParseFloat(strings.TrimSuffix(s, "%"), 64)
			if err != nil || n > high {
				return 0, fmt.Errorf("%s is out of range; it may be 0%% to %g%%", s, high)
			}
			return n / 100, nil
		}}
}

// choice is one of a few words; later are those that are known but not in this version.
func choice[T ~string](into *T, options []T, later ...T) value {
	names := make([]string, 0, len(options))
	for _, o := range options {
		names = append(names, string(o))
	}
	listed := strings.Join(names, ", ")
	return scalar[T]{into: into, kind: strings.Join(names, " \\| "), want: "one of " + listed,
		accepts: []scalarType{textual}, form: schema{"enum": names},
		parse: func(s string) (T, error) {
			switch {
			case slices.Contains(options, T(s)):
				return T(s), nil
			case slices.Contains(later, T(s)):
				return "", fmt.Errorf("%q is not in this version; it may be %s", s, listed)
			}
			return "", fmt.Errorf("%q is none of %s%s", s, listed, didYouMean(s, names))
		}}
}

// list is several values of one kind. In variables they are separated by commas.
type list[T any] struct {
	into *[]T
	item func(*T) value
	kind string // "list of addresses"
}

func (l list[T]) read(r *reader, path string, n *node) {
	*l.into = nil
	for i, item := range items(r, path, n, l.kind) {
		at := fmt.Sprintf("%s[%d]", path, i)
		r.written[at] = item.at
		var x T
		l.item(&x).read(r, at, item)
		*l.into = append(*l.into, x)
	}
}

func (l list[T]) schema() schema {
	return schema{"anyOf": []schema{{"type": "array", "items": l.item(new(T)).schema()}, variable()}}
}

func (l list[T]) describe() string { return l.kind }

// items are the elements of a list, or of a variable's text between its commas.
func items(r *reader, path string, n *node, want string) []*node {
	switch {
	case n.kind == kindList:
		return n.items
	case n.kind == kindBroken:
		return nil
	case n.kind == kindScalar && n.scalar == untyped:
		return splitItems(n)
	case n.kind == kindScalar:
		r.faults.add(n.at, path, "wants a %s; write [%q]", want, n.text)
	case n.kind == kindNull:
		r.faults.add(n.at, path, "no value; write a %s, or remove the key", want)
	default:
		r.faults.add(n.at, path, "wants a %s, not %s", want, n.kind)
	}
	return nil
}

func splitItems(n *node) []*node {
	if strings.TrimSpace(n.text) == "" {
		return nil
	}
	var out []*node
	for part := range strings.SplitSeq(n.text, ",") {
		out = append(out, untypedScalar(strings.TrimSpace(part), n.at))
	}
	return out
}
