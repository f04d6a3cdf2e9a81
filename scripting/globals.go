package scripting

import (
	"slices"

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

// climb is the first of i and those above it that text begins with, or -1. Those
// above are beginnings of i, so that what text and i have in common decides on all.
func (p *prefixes) climb(i int, text string) int {
	if i < 0 {
		return i
	}
	common := commonLength(p.sorted[i], text)
	for i >= 0 && len(p.sorted[i]) > common {
		i = p.parent[i]
	}
	return i
}

// commonLength is how many bytes two texts begin with alike.
func commonLength(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// longest is the index of the longest prefix of text, or -1.
func (p *prefixes) longest(text string) int {
	i, found := slices.BinarySearch(p.sorted, text)
	if !found {
		i--
	}
	return p.climb(i, text)
}
