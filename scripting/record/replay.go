package record

import (
	"slices"
	"strings"

	"outrider/scripting"
)

// A Replay is a recorded decision, made again.
type Replay struct {
	Decision Decision
	// Unknown is what the script wanted to know that the record does not hold:
	// "req.headers['x-beta']". Where there is something, the decision may be
	// another than the one on the request itself.
	Unknown []string
	// Place is where the script returned; only of one with [scripting.Options.Places].
	Place string
}

// Again lets a script decide on a recorded request, at its time, with its random
// numbers and the health of then. What the record does not know of the clusters
// is asked of now.
func (e *Entry) Again(s *scripting.Script, now scripting.Clusters) Replay {
	var again Replay
	d := s.RouteAt(request{e}, scripting.Moment{
		Now: e.At, Seed: e.Seed, Clusters: then{e.Clusters, now},
		OnCall: func(n *scripting.Reading, _ scripting.Decision) { again.Unknown, again.Place = e.unknown(n), n.Place },
	})
	again.Decision = DecisionOf(d)
	return again
}

// unknown is what a call read that the entry does not hold.
func (e *Entry) unknown(n *scripting.Reading) []string {
	var all []string
	for _, p := range []struct {
		bit   scripting.Properties
		name  string
		known bool
	}{
		{scripting.ReadMethod, "req.method", e.Read.Method != nil},
		{scripting.ReadPath, "req.path", e.Read.Path != nil},
		{scripting.ReadQuery, "req.query", e.Read.Query != nil && !e.Read.QueryHidden},
		{scripting.ReadHost, "req.host", e.Read.Host != nil},
		{scripting.ReadScheme, "req.scheme", e.Read.Scheme != nil},
		{scripting.ReadIP, "req.ip", e.Read.IP != nil},
		{scripting.ReadListener, "req.listener", e.Read.Listener != nil},
		{scripting.ReadTLS, "req.tls", e.Read.TLS != nil || e.Read.Cleartext},
		{scripting.ReadHeaderNames, "the names of req.headers", e.Read.HeaderNames != nil},
		{scripting.ReadCookieNames, "the names of req.cookies", e.Read.CookieNames != nil},
	} {
		if n.Has&p.bit != 0 && !p.known {
			all = append(all, p.name)
		}
	}
	all = append(all, strange("req.headers", n.Headers, e.Read.Headers)...)
	all = append(all, strange("req.cookies", n.Cookies, e.Read.Cookies)...)
	if n.Seed != 0 && e.Seed == 0 {
		all = append(all, "Math.random")
	}
	return all
}

func strange(kind string, read []scripting.NamedValue, known []Field) []string {
	var all []string
	for _, v := range read {
		f, ok := find(known, v.Name)
		if !ok || f.Hidden {
			all = append(all, kind+"['"+v.Name+"']")
		}
	}
	return all
}

func find(fields []Field, name string) (Field, bool) {
	i := slices.IndexFunc(fields, func(f Field) bool { return strings.EqualFold(f.Name, name) })
	if i < 0 {
		return Field{}, false
	}
	return fields[i], true
}

// request is a recorded request. It implements [scripting.Request]. What was not
// read is empty.
type request struct{ *Entry }

func known(value *string) string {
	if value == nil {
		return ""
	}
	return *value
}

func (r request) Method() string   { return known(r.Read.Method) }
func (r request) Path() string     { return known(r.Read.Path) }
func (r request) RawQuery() string { return known(r.Read.Query) }
func (r request) Host() string     { return known(r.Read.Host) }
func (r request) Scheme() string   { return known(r.Read.Scheme) }
func (r request) IP() string       { return known(r.Read.IP) }
func (r request) ID() string       { return r.Entry.ID }
func (r request) Listener() string { return known(r.Read.Listener) }

func (r request) TLS() *scripting.TLS { return r.Read.TLS }

// Header implements scripting.Request. Cookies that were read one by one make up
// the field that they came in.
func (r request) Header(name string) (string, bool) {
	if f, ok := find(r.Read.Headers, name); ok {
		return f.Value, !f.Absent
	}
	if !strings.EqualFold(name, "cookie") {
		return "", false
	}
	var pairs []string
	for _, c := range r.Read.Cookies {
		if !c.Absent {
			pairs = append(pairs, c.Name+"="+c.Value)
		}
	}
	for _, name := range r.Read.CookieNames {
		if _, ok := find(r.Read.Cookies, name); !ok {
			pairs = append(pairs, name+"=")
		}
	}
	return strings.Join(pairs, "; "), pairs != nil
}

func (r request) HeaderNames() []string { return r.Read.HeaderNames }

// then is the health of the clusters as it was recorded, and as it is now where
// the record does not say.
type then struct {
	recorded []Health
	now      scripting.Clusters
}

func (t then) Names() []string { return t.now.Names() }

func (t then) Health(name string) (healthy, total int, ok bool) {
	for _, h := range t.recorded {
		if h.Name == name && !h.Missing {
			return h.Healthy, h.Total, true
		}
	}
	return t.now.Health(name)
}
