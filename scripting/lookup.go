package scripting

import (
	"slices"

	"github.com/dop251/goja"
)

// The three lookups of a request.
type lookupKind uint8

const (
	headers lookupKind = iota
	query
	cookies
	lookupKinds
)

//nolint:gochecknoglobals // immutable table
var lookupNames = [...]string{headers: "headers", query: "query", cookies: "cookies"}

// A known is a header that the script has asked for; nil: the request has none.
type known struct {
	name  string
	value goja.Value
}

// lookupMethods are the functions of a lookup, made once per view.
type lookupMethods struct{ get, has, getAll goja.Value }

func (v *view) newLookupMethods(kind lookupKind) lookupMethods {
	rt := v.rt
	m := lookupMethods{
		get: rt.function("get", func(call goja.FunctionCall) goja.Value {
			if value := v.find(kind, call.Argument(0).String()); value != nil {
				return value
			}
			return goja.Null()
		}),
		has: rt.function("has", func(call goja.FunctionCall) goja.Value {
			return rt.js.ToValue(v.find(kind, call.Argument(0).String()) != nil)
		}),
	}
	if kind == query {
		m.getAll = rt.function("getAll", func(call goja.FunctionCall) goja.Value {
			return v.findAll(call.Argument(0).String())
		})
	}
	return m
}

// function makes a native function with a proper name.
func (rt *runtime) function(name string, f func(goja.FunctionCall) goja.Value) *goja.Object {
	object := rt.js.ToValue(f).(*goja.Object)
	must(object.DefineDataProperty("name", rt.text(name), goja.FLAG_FALSE, goja.FLAG_TRUE, goja.FLAG_FALSE))
	return object
}

// must is for definitions on objects of our own, which cannot fail.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// find is the first value of a name, nil if there is none.
func (v *view) find(kind lookupKind, name string) goja.Value {
	if kind == headers {
		return v.header(name)
	}
	value, found := "", false
	for _, p := range v.pairs(kind) {
		if p.name == name {
			value, found = p.value, true
			break
		}
	}
	if n := v.rt.notes; n != nil && kind == cookies {
		n.cookie(name, value, found)
	}
	if !found {
		return nil
	}
	return v.rt.text(value)
}

func (v *view) header(name string) goja.Value {
	for i := range v.headers {
		if v.headers[i].name == name {
			return v.headers[i].value
		}
	}
	var value goja.Value
	s, ok := v.current().Header(name)
	if ok {
		value = v.rt.text(s)
	}
	if n := v.rt.notes; n != nil {
		n.header(name, s, ok)
	}
	v.headers = append(v.headers, known{name, value})
	return value
}

func (v *view) findAll(name string) goja.Value {
	var all []any
	for _, p := range v.pairs(query) {
		if p.name == name {
			all = append(all, p.value)
		}
	}
	return v.rt.js.NewArray(all...)
}

// pairs parses the query or the cookies when they are first asked for.
func (v *view) pairs(kind lookupKind) []pair {
	r := v.current()
	if !v.parsed[kind] {
		v.parsed[kind] = true
		if kind == query {
			v.query = appendQuery(v.query[:0], noted(v.rt.notes, ReadQuery, r.RawQuery()))
		} else if header, ok := r.Header("cookie"); ok {
			v.cookies = appendCookies(v.cookies[:0], header)
		}
	}
	if kind == query {
		return v.query
	}
	return v.cookies
}

func (v *view) names(kind lookupKind) []string {
	if kind == headers {
		names := slices.Clone(v.current().HeaderNames())
		if n := v.rt.notes; n != nil {
			n.Has |= ReadHeaderNames
			n.HeaderNames = slices.Clone(names)
		}
		return names
	}
	var names []string
	for _, p := range v.pairs(kind) {
		if !slices.Contains(names, p.name) {
			names = append(names, p.name)
		}
	}
	if n := v.rt.notes; n != nil && kind == cookies {
		n.Has |= ReadCookieNames
		n.CookieNames = slices.Clone(names)
	}
	return names
}

// lookup is the object of one kind for the current call. It has no prototype: a
// name that the request lacks is undefined, whatever Object.prototype has.
func (v *view) lookup(kind lookupKind) goja.Value {
	object := v.rt.js.NewDynamicObject(&lookup{handle{v, v.generation}, kind})
	must(object.SetPrototype(nil))
	return object
}

// A lookup is a `req.headers`, `req.query` or `req.cookies`. It implements
// goja.DynamicObject. Its own functions win over a name of the request.
type lookup struct {
	handle
	kind lookupKind
}

func (l *lookup) Get(key string) goja.Value {
	l.check()
	methods := &l.view.lookups[l.kind]
	switch key {
	case "get":
		return methods.get
	case "has":
		return methods.has
	case "getAll":
		if methods.getAll != nil {
			return methods.getAll
		}
	}
	return l.view.find(l.kind, key)
}

func (l *lookup) Has(key string) bool {
	l.check()
	return l.view.find(l.kind, key) != nil
}

func (l *lookup) Keys() []string {
	l.check()
	return l.view.names(l.kind)
}

func (l *lookup) Set(key string, _ goja.Value) bool {
	l.view.rt.throw("req.%s is read-only: cannot set %q", lookupNames[l.kind], shorten(key, maxName))
	return false
}

func (l *lookup) Delete(key string) bool {
	l.view.rt.throw("req.%s is read-only: cannot delete %q", lookupNames[l.kind], shorten(key, maxName))
	return false
}
