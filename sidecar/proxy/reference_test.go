package proxy_test

import (
	"errors"
	"regexp"
	"strconv"
	"strings"
)

// A second opinion on what a message means, for the fuzz tests: by regular
// expressions, from the grammar of RFC 9112, and as strict as that can be.
const (
	refToken  = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+"
	refValue  = `[^\x00-\x08\x0a-\x1f\x7f]*`
	refFields = `((?:` + refToken + `:` + refValue + `\r\n)*)\r\n`
)

// reference holds the grammar.
type reference struct{ request, response, size, tail *regexp.Regexp }

func newReference() *reference {
	return &reference{
		request:  regexp.MustCompile(`^(` + refToken + `) (/[!-"$-~]*|\*) HTTP/1\.1\r\n` + refFields),
		response: regexp.MustCompile(`^HTTP/1\.([01]) ([1-5][0-9][0-9])(?: ` + refValue + `)?\r\n` + refFields),
		size:     regexp.MustCompile(`^([0-9A-Fa-f]{1,15})(?:[ \t]*;` + refValue + `)?\r\n`),
		tail:     regexp.MustCompile(`^` + refFields),
	}
}

var (
	errRefCut    = errors.New("the message is not complete")
	errRefBroken = errors.New("the message breaks the grammar")
)

// message is what the reference makes of one.
type message struct {
	method, target string
	status         int
	fields         [][2]string
	body           string
	size           int  // bytes on the wire
	toTheEnd       bool // only the end of the connection ends it
}

// all are the values of a field, by its name in lower case.
func (m *message) all(name string) (values []string) {
	for _, f := range m.fields {
		if strings.ToLower(f[0]) == name {
			values = append(values, f[1])
		}
	}
	return values
}

func (m *message) first(name string) string {
	if values := m.all(name); len(values) > 0 {
		return values[0]
	}
	return ""
}

func refSplit(lines string) (fields [][2]string) {
	for line := range strings.SplitSeq(strings.TrimSuffix(lines, "\r\n"), "\r\n") {
		if name, value, ok := strings.Cut(line, ":"); ok {
			fields = append(fields, [2]string{name, strings.Trim(value, " \t")})
		}
	}
	return fields
}

// readRequest reads a request as a proxy may send it: there is one way to read
// it, and no need for forbearance.
func (r *reference) readRequest(wire string) (*message, error) {
	head := r.request.FindStringSubmatch(wire)
	if head == nil {
		return nil, refUnread(wire)
	}
	m := &message{method: head[1], target: head[2], fields: refSplit(head[3]), size: len(head[0])}
	if len(m.all("host")) != 1 || len(m.all("content-length"))+len(m.all("transfer-encoding")) > 1 {
		return nil, errRefBroken
	}
	return m, r.readBody(m, wire, false)
}

// readResponse reads a response to a request with this method.
func (r *reference) readResponse(wire, method string) (*message, error) {
	head := r.response.FindStringSubmatch(wire)
	if head == nil {
		return nil, refUnread(wire)
	}
	m := &message{fields: refSplit(head[3]), size: len(head[0])}
	m.status, _ = strconv.Atoi(head[2])
	if err := refFraming(m, head[1]); err != nil {
		return m, err
	}
	if method == "HEAD" || m.status < 200 || m.status == 204 || m.status == 304 {
		return m, nil
	}
	return m, r.readBody(m, wire, true)
}

// refUnread tells whether more bytes could make a head of what is none.
func refUnread(wire string) error {
	if strings.Contains(wire, "\r\n\r\n") {
		return errRefBroken
	}
	return errRefCut
}

// refFraming looks at the fields that frame a response, whether it has a body or
// not.
func refFraming(m *message, minor string) error {
	lengths, codings := m.all("content-length"), m.all("transfer-encoding")
	for _, l := range lengths {
		n, err := strconv.ParseUint(l, 10, 60)
		same, _ := strconv.ParseUint(lengths[0], 10, 60)
		if err != nil || strings.HasPrefix(l, "+") || len(l) > 18 || n != same {
			return errRefBroken
		}
	}
	if len(codings) > 0 && (len(codings) > 1 || len(lengths) > 0 || minor == "0" || !strings.EqualFold(codings[0], "chunked")) {
		return errRefBroken
	}
	return nil
}

func (r *reference) readBody(m *message, wire string, response bool) error {
	rest := wire[m.size:]
	if coding := m.all("transfer-encoding"); len(coding) > 0 {
		if !strings.EqualFold(coding[0], "chunked") {
			return errRefBroken
		}
		return r.readChunks(m, rest)
	}
	length := m.first("content-length")
	if length == "" {
		if response {
			m.toTheEnd, m.body, m.size = true, rest, len(wire)
		}
		return nil
	}
	n, err := strconv.Atoi(length)
	switch {
	case err != nil || n < 0:
		return errRefBroken
	case n > len(rest):
		m.body = rest
		return errRefCut
	}
	m.body, m.size = rest[:n], m.size+n
	return nil
}

func (r *reference) readChunks(m *message, rest string) error {
	for {
		line := r.size.FindStringSubmatch(rest)
		if line == nil {
			if strings.Contains(rest, "\n") {
				return errRefBroken
			}
			return errRefCut
		}
		n, _ := strconv.ParseInt(line[1], 16, 64)
		rest, m.size = rest[len(line[0]):], m.size+len(line[0])
		if n == 0 {
			break
		}
		if int64(len(rest)) < n+2 {
			m.body += rest[:min(int64(len(rest)), n)]
			return errRefCut
		}
		if rest[n:n+2] != "\r\n" {
			return errRefBroken
		}
		m.body, m.size = m.body+rest[:n], m.size+int(n)+2
		rest = rest[n+2:]
	}
	tail := r.tail.FindString(rest)
	if tail == "" {
		if strings.Contains(rest, "\r\n\r\n") {
			return errRefBroken
		}
		return errRefCut
	}
	m.size += len(tail)
	return nil
}
