package scripting

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/dop251/goja"
)

// installGlobals brings what scripts have beside JavaScript itself. A script may
// define the names anew.
func (rt *runtime) installGlobals() {
	for name, value := range map[string]goja.Value{
		"PrefixMap": rt.js.ToValue(rt.newPrefixMap),
		"cookie":    rt.function("cookie", rt.cookie),
		"defineRoute": rt.function("defineRoute", func(call goja.FunctionCall) goja.Value {
			return call.Argument(0)
		}),
	} {
		must(rt.js.GlobalObject().DefineDataProperty(name, value, goja.FLAG_TRUE, goja.FLAG_TRUE, goja.FLAG_FALSE))
	}
	prefixMap := rt.global("PrefixMap")
	must(prefixMap.DefineDataProperty("name", rt.text("PrefixMap"), goja.FLAG_FALSE, goja.FLAG_TRUE, goja.FLAG_FALSE))
}

// newPrefixMap constructs a PrefixMap of a table { prefix: value }.
func (rt *runtime) newPrefixMap(call goja.ConstructorCall) *goja.Object {
	table, ok := call.Argument(0).(*goja.Object)
	if !ok || table.ClassName() != "Object" {
		rt.throw("PrefixMap takes an object such as { '/api/': 'api' }, not %s", kindOf(call.Argument(0)))
	}
	m := newPrefixes(table.Keys())
	values := make([]goja.Value, len(m.sorted))
	for i, prefix := range m.sorted {
		values[i] = table.Get(prefix)
	}
	rt.define(call.This, "get", rt.function("get", func(call goja.FunctionCall) goja.Value {
		path, ok := call.Argument(0).(goja.String)
		if !ok {
			rt.throw("PrefixMap.get takes a string, not %s", kindOf(call.Argument(0)))
		}
		if i := m.longest(path.String()); i >= 0 {
			return values[i]
		}
		return goja.Undefined()
	}))
	return nil
}

// prefixes find the longest of many strings that another one begins with, by one
// binary search: the prefixes of a text stand before it in order, and those of
// the one that stands last before it are linked.
type prefixes struct {
	sorted []string
	parent []int // the longest other one that it begins with; -1: none
}

func newPrefixes(all []string) *prefixes {
	p := &prefixes{sorted: slices.Sorted(slices.Values(all)), parent: make([]int, len(all))}
	for i, prefix := range p.sorted {
		p.parent[i] = p.climb(i-1, prefix)
	}
	return p
}

// climb is the first of i and those above it that text begins with, or -1.
func (p *prefixes) climb(i int, text string) int {
	for i >= 0 && !strings.HasPrefix(text, p.sorted[i]) {
		i = p.parent[i]
	}
	return i
}

// longest is the index of the longest prefix of text, or -1.
func (p *prefixes) longest(text string) int {
	i, found := slices.BinarySearch(p.sorted, text)
	if !found {
		i--
	}
	return p.climb(i, text)
}

//nolint:gochecknoglobals // immutable table
var cookieOptions = []string{"maxAge", "path", "sameSite", "secure", "httpOnly"}

// cookie makes the value of a Set-Cookie header (RFC 6265 section 4.1).
func (rt *runtime) cookie(call goja.FunctionCall) goja.Value {
	text, err := cookieOf(call.Argument(0), call.Argument(1), call.Argument(2))
	if err != nil {
		rt.throw("%s", "cookie: "+err.Error())
	}
	return rt.text(text)
}

func cookieOf(name, value, options goja.Value) (string, error) {
	n, ok := name.(goja.String)
	if !ok || n.Length() == 0 || strings.ContainsFunc(n.String(), func(c rune) bool { return !isTokenChar(c) }) {
		return "", fmt.Errorf("%s is no name of a cookie", kindOf(name))
	}
	v, ok := value.(goja.String)
	if !ok {
		return "", fmt.Errorf("the value is %s, it takes a string", kindOf(value))
	}
	if i := strings.IndexFunc(v.String(), func(c rune) bool { return c <= ' ' || c >= 0x7f || strings.ContainsRune(`",;\`, c) }); i >= 0 {
		return "", fmt.Errorf("the value has the character %q, which no cookie can have: use encodeURIComponent", []rune(v.String()[i:])[0])
	}
	attributes, err := cookieAttributes(options)
	if err != nil {
		return "", err
	}
	return n.String() + "=" + v.String() + attributes, nil
}

func cookieAttributes(options goja.Value) (string, error) {
	if isNothing(options) {
		return "; Path=/", nil
	}
	object, ok := options.(*goja.Object)
	if !ok {
		return "", fmt.Errorf("the options are %s, they are an object", kindOf(options))
	}
	for _, key := range object.Keys() {
		if !slices.Contains(cookieOptions, key) {
			return "", fmt.Errorf("there is no option %q%s", shorten(key, maxName), didYouMean(key, cookieOptions))
		}
	}
	path, maxAge, sameSite := object.Get("path"), object.Get("maxAge"), object.Get("sameSite")
	secure := !isNothing(object.Get("secure")) && object.Get("secure").ToBoolean()
	text := "; Path=/"
	if !isNothing(path) {
		p, ok := path.(goja.String)
		if !ok || !strings.HasPrefix(p.String(), "/") || strings.ContainsFunc(p.String(), func(c rune) bool { return c < ' ' || c >= 0x7f || c == ';' }) {
			return "", fmt.Errorf("path is %s, it takes a path such as '/'", kindOf(path))
		}
		text = "; Path=" + p.String()
	}
	if !isNothing(maxAge) {
		age := maxAge.ToFloat()
		if !goja.IsNumber(maxAge) || age != float64(int64(age)) {
			return "", fmt.Errorf("maxAge is %s, it takes a whole number of seconds", kindOf(maxAge))
		}
		text += "; Max-Age=" + strconv.FormatInt(int64(age), 10)
	}
	if !isNothing(sameSite) {
		switch s := sameSite.String(); {
		case s != "Lax" && s != "Strict" && s != "None":
			return "", fmt.Errorf("sameSite is %s, it takes 'Lax', 'Strict' or 'None'", kindOf(sameSite))
		case s == "None" && !secure:
			return "", fmt.Errorf("sameSite 'None' needs secure: true, or browsers drop the cookie")
		default:
			text += "; SameSite=" + s
		}
	}
	if secure {
		text += "; Secure"
	}
	if httpOnly := object.Get("httpOnly"); !isNothing(httpOnly) && httpOnly.ToBoolean() {
		text += "; HttpOnly"
	}
	return text, nil
}
