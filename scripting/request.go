package scripting

import (
	"slices"

	"github.com/dop251/goja"
)

// A view is what one runtime shows of the current request: each property is read
// from the [Request] when the script reads it, and kept for the call.
type view struct {
	rt         *runtime
	request    Request
	generation uint64 // counts calls; a handle of another generation is stale
	lookups    [lookupKinds]lookupMethods
	values     [propertyCount]goja.Value
	headers    []known // the headers read so far
	query      []pair
	cookies    []pair
	parsed     [lookupKinds]bool
	spare      []handle // handles never used so far
}

// A property is an index into view.values.
type property uint8

const (
	propMethod property = iota
	propPath
	propCleanPath
	propURL
	propHost
	propScheme
	propIP
	propID
	propListener
	propTLS
	propHeaders
	propQuery
	propCookies
	propertyCount
)

//nolint:gochecknoglobals // immutable table
var propertyNames = [...]string{
	propMethod: "method", propPath: "path", propCleanPath: "cleanPath", propURL: "url", propHost: "host",
	propScheme: "scheme", propIP: "ip", propID: "id", propListener: "listener", propTLS: "tls",
	propHeaders: "headers", propQuery: "query", propCookies: "cookies",
}

func (v *view) begin(r Request) {
	v.request = r
	v.generation++
}

// end lets go of the request, so that nothing of it is reachable between calls.
func (v *view) end() {
	v.request = nil
	clear(v.values[:])
	clear(v.headers)
	v.headers = v.headers[:0]
	if v.parsed != [lookupKinds]bool{} {
		clear(v.query)
		clear(v.cookies)
		v.query, v.cookies = v.query[:0], v.cookies[:0]
		v.parsed = [lookupKinds]bool{}
	}
}

// current is the request of the running call. It throws where that call has run
// past its deadline: the request may belong to somebody else by now.
func (v *view) current() Request {
	if v.request == nil || !v.rt.ticket.live() {
		v.rt.throw("the request is over")
	}
	return v.request
}

func (v *view) get(p property) goja.Value {
	if v.values[p] == nil {
		v.values[p] = v.read(p)
	}
	return v.values[p]
}

func (v *view) read(p property) goja.Value {
	r, n := v.current(), v.rt.notes
	switch p {
	case propMethod:
		return v.rt.intern(noted(n, ReadMethod, r.Method()))
	case propPath:
		return v.rt.text(noted(n, ReadPath, r.Path()))
	case propCleanPath:
		return v.cleanPath(r)
	case propURL:
		return v.rt.text(v.url(r))
	case propHost:
		return v.rt.text(noted(n, ReadHost, r.Host()))
	case propScheme:
		return v.rt.intern(noted(n, ReadScheme, r.Scheme()))
	case propIP:
		return v.rt.text(noted(n, ReadIP, r.IP()))
	case propID:
		return v.rt.text(noted(n, ReadID, r.ID()))
	case propListener:
		return v.rt.intern(noted(n, ReadListener, r.Listener()))
	case propTLS:
		return v.encryption(r)
	case propHeaders:
		return v.lookup(headers)
	case propQuery:
		return v.lookup(query)
	default:
		return v.lookup(cookies)
	}
}

func (v *view) cleanPath(r Request) goja.Value {
	path := noted(v.rt.notes, ReadPath, r.Path())
	if clean := cleanPath(path); clean != path {
		return v.rt.text(clean)
	}
	return v.get(propPath)
}

func (v *view) url(r Request) string {
	n := v.rt.notes
	url := noted(n, ReadScheme, r.Scheme()) + "://" + noted(n, ReadHost, r.Host()) + noted(n, ReadPath, r.Path())
	if q := noted(n, ReadQuery, r.RawQuery()); q != "" {
		url += "?" + q
	}
	return url
}

// text makes a JavaScript string.
func (rt *runtime) text(s string) goja.Value { return rt.js.ToValue(s) }

// intern makes a JavaScript string that the runtime keeps, for strings of which
// there are few: methods, schemes, the names of listeners. The number is bounded,
// since a client may send any method.
func (rt *runtime) intern(s string) goja.Value {
	if value, ok := rt.interned[s]; ok {
		return value
	}
	value := rt.text(s)
	if len(rt.interned) < maxInterned && len(s) <= maxName {
		rt.interned[s] = value
	}
	return value
}

const maxInterned = 256

// handle is the `req` of the current call: an object of its own, so that a script
// that keeps it beyond the call finds it stale instead of reading a stranger's
// request.
func (v *view) handle() goja.Value {
	if len(v.spare) == 0 {
		v.spare = make([]handle, handleBatch)
	}
	h := &v.spare[0]
	v.spare = v.spare[1:]
	*h = handle{v, v.generation}
	return v.rt.js.NewDynamicObject(h)
}

// handleBatch is how many handles one allocation makes.
const handleBatch = 32

// A handle is a `req` object. It implements goja.DynamicObject.
type handle struct {
	view       *view
	generation uint64
}

func (h *handle) check() {
	if h.generation != h.view.generation {
		h.view.rt.throw("this request is over: a script may not keep req (or its headers, query, cookies) for a later call")
	}
}

func (h *handle) Get(key string) goja.Value {
	h.check()
	if p := propertyOf(key); p < propertyCount {
		return h.view.get(p)
	}
	h.view.rt.script.warnOfUnknownProperty(key)
	return nil
}

func (h *handle) Has(key string) bool { return propertyOf(key) < propertyCount }
func (*handle) Keys() []string        { return slices.Clone(propertyNames[:]) }

func (h *handle) Set(key string, _ goja.Value) bool {
	h.view.rt.throw("req is read-only: cannot set req.%s", shorten(key, maxName))
	return false
}

func (h *handle) Delete(key string) bool {
	h.view.rt.throw("req is read-only: cannot delete req.%s", shorten(key, maxName))
	return false
}

func propertyOf(key string) property {
	switch key {
	case "path":
		return propPath
	case "headers":
		return propHeaders
	case "method":
		return propMethod
	case "host":
		return propHost
	case "query":
		return propQuery
	case "cookies":
		return propCookies
	case "cleanPath":
		return propCleanPath
	case "url":
		return propURL
	case "scheme":
		return propScheme
	case "ip":
		return propIP
	case "id":
		return propID
	case "listener":
		return propListener
	case "tls":
		return propTLS
	}
	return propertyCount
}

// warnOfUnknownProperty warns once of each property that req does not have. The
// engine and Object.prototype ask for some by themselves.
func (s *Script) warnOfUnknownProperty(key string) {
	switch key {
	case "constructor", "hasOwnProperty", "isPrototypeOf", "propertyIsEnumerable", "toJSON",
		"toLocaleString", "toString", "valueOf", "then", "__proto__",
		"__defineGetter__", "__defineSetter__", "__lookupGetter__", "__lookupSetter__":
		return
	}
	if s.notices.first("req." + key) {
		s.log.Warnf("%s: the script reads req.%s, which does not exist%s", s.source.name, shorten(oneLine(key), maxName), didYouMean(key, propertyNames[:]))
	}
}

// installRequest prepares what the views of all requests share.
func (rt *runtime) installRequest() {
	rt.view.rt = rt
	rt.interned = make(map[string]goja.Value)
	rt.view.install()
}

func (v *view) install() {
	for kind := range lookupKinds {
		v.lookups[kind] = v.newLookupMethods(kind)
	}
}
