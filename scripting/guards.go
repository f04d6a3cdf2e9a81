package scripting

import (
	"math"
	"strconv"

	"github.com/dop251/goja"
)

// Limits on what one built-in may be asked to do. An interrupt does not reach into
// a built-in, so no single call may compute, or take memory, without bound.
const (
	maxText     = 1 << 20   // characters that a built-in may make, bytes of a buffer or of JSON text
	maxElements = 1_000_000 // elements that a built-in may go through
	maxArgs     = 65_536    // arguments by apply
	maxReplaced = 1 << 24   // length of a text times length of its replacement
	maxJSON     = 200       // nesting of JSON text
	freeJoin    = 64        // elements that join may join without a look at their sizes
)

// installGuards wraps the built-ins that could grow without bound, and removes
// those that make code. The script has not run yet: what is wrapped is the
// engine's own, and no other way to it is left.
func (rt *runtime) installGuards() {
	rt.guardStrings()
	rt.guardArrays()
	rt.guardApply()
	rt.guardBuffers()
	rt.guardJSON()
	rt.removeCodeMakers()
	rt.removeBigInts()
	rt.installStartsWith()
}

// wrap replaces a function of an object by one made from it.
func (rt *runtime) wrap(object *goja.Object, name string, around func(original native) native) {
	original := object.Get(name).Export().(native)
	rt.redefine(object, name, rt.function(name, around(original)))
}

func (rt *runtime) redefine(object *goja.Object, name string, value goja.Value) {
	must(object.DefineDataProperty(name, value, goja.FLAG_TRUE, goja.FLAG_TRUE, goja.FLAG_FALSE))
}

func (rt *runtime) global(name string) *goja.Object {
	return rt.js.GlobalObject().Get(name).(*goja.Object)
}

func (rt *runtime) prototype(constructor string) *goja.Object {
	return rt.global(constructor).Get("prototype").(*goja.Object)
}

// limit throws a RangeError where size is above most.
func (rt *runtime) limit(size, most float64, what string) {
	if size <= most {
		return
	}
	thrown, err := rt.js.New(rt.rangeError, rt.text(what+" would be too large: the most in a routing script is "+strconv.Itoa(int(most))))
	must(err)
	panic(thrown)
}

// guardStrings limits the texts that methods of String make. Arguments are
// converted once, so that what was measured is what is used.
func (rt *runtime) guardStrings() {
	proto := rt.prototype("String")
	rt.guardString(proto, "repeat", func(text goja.String, args []goja.Value) float64 {
		args[0] = args[0].ToNumber()
		return float64(text.Length()) * args[0].ToFloat()
	})
	pad := func(_ goja.String, args []goja.Value) float64 {
		args[0] = args[0].ToNumber()
		return args[0].ToFloat()
	}
	rt.guardString(proto, "padStart", pad)
	rt.guardString(proto, "padEnd", pad)
	rt.guardString(proto, "concat", func(text goja.String, args []goja.Value) float64 {
		size := text.Length()
		for i := range args {
			args[i] = asText(args[i])
			size += args[i].(goja.String).Length()
		}
		return float64(size)
	})
	replace := func(text goja.String, args []goja.Value) float64 {
		if len(args) < 2 || isFunction(args[1]) {
			return 0 // a function can be interrupted
		}
		args[1] = asText(args[1])
		return float64(text.Length()) * float64(args[1].(goja.String).Length()) / (maxReplaced / maxText)
	}
	rt.guardString(proto, "replace", replace)
	rt.guardString(proto, "replaceAll", replace)
}

func (rt *runtime) guardString(proto *goja.Object, name string, size func(text goja.String, args []goja.Value) float64) {
	rt.wrap(proto, name, func(original native) native {
		return func(call goja.FunctionCall) goja.Value {
			if isNothing(call.This) || len(call.Arguments) == 0 {
				return original(call)
			}
			call.This = asText(call.This)
			rt.limit(size(call.This.(goja.String), call.Arguments), maxText, name+"()")
			return original(call)
		}
	})
}

func asText(v goja.Value) goja.String {
	if text, ok := v.(goja.String); ok {
		return text
	}
	return v.ToString().(goja.String)
}

func isFunction(v goja.Value) bool {
	object, ok := v.(*goja.Object)
	return ok && object.ClassName() == "Function"
}

// loopingArrayMethods go through all of an array, or of anything that has a
// length, without running a step of the script for each place.
func loopingArrayMethods() []string {
	return []string{
		"concat", "copyWithin", "entries", "every", "fill", "filter", "find", "findIndex", "findLast", "findLastIndex",
		"flat", "flatMap", "forEach", "includes", "indexOf", "join", "keys", "lastIndexOf", "map", "reduce", "reduceRight",
		"reverse", "shift", "slice", "some", "sort", "splice", "toLocaleString", "toReversed", "toSorted", "toSpliced",
		"toString", "unshift", "values", "with",
	}
}

func (rt *runtime) guardArrays() {
	proto := rt.prototype("Array")
	for _, name := range loopingArrayMethods() {
		rt.wrap(proto, name, func(original native) native {
			return func(call goja.FunctionCall) goja.Value {
				rt.limit(lengthOf(call.This), maxElements, "the array of "+name+"()")
				return original(call)
			}
		})
	}
	rt.guardConcat(proto)
	rt.guardJoin(proto)
	must(proto.DefineDataPropertySymbol(goja.SymIterator, proto.Get("values"), goja.FLAG_TRUE, goja.FLAG_TRUE, goja.FLAG_FALSE))
	rt.wrap(rt.global("Array"), "from", func(original native) native {
		return func(call goja.FunctionCall) goja.Value {
			rt.limit(lengthOf(call.Argument(0)), maxElements, "the array of Array.from()")
			return original(call)
		}
	})
}

// lengthOf is the length of an array, or of anything like it; 0 for the rest.
func lengthOf(v goja.Value) float64 {
	object, ok := v.(*goja.Object)
	if !ok {
		return 0
	}
	length := object.Get("length")
	if length == nil || goja.IsUndefined(length) {
		return 0
	}
	size := length.ToFloat()
	if math.IsNaN(size) {
		return 0
	}
	return size
}

func (rt *runtime) guardConcat(proto *goja.Object) {
	rt.wrap(proto, "concat", func(original native) native {
		return func(call goja.FunctionCall) goja.Value {
			size := 0.0
			for _, argument := range call.Arguments {
				size += lengthOf(argument)
			}
			rt.limit(size, maxElements, "the array of concat()")
			return original(call)
		}
	})
}

func (rt *runtime) guardJoin(proto *goja.Object) {
	rt.wrap(proto, "join", func(original native) native {
		return func(call goja.FunctionCall) goja.Value {
			if length := lengthOf(call.This); length > freeJoin {
				rt.limitJoin(call.This.(*goja.Object), int(length), call.Argument(0))
			}
			return original(call)
		}
	})
}

func (rt *runtime) limitJoin(list *goja.Object, length int, separator goja.Value) {
	size := float64(length)
	if !goja.IsUndefined(separator) {
		size *= float64(asText(separator).Length())
	}
	rt.limit(size, maxText, "the text of join()")
	for i := range length {
		if text, ok := list.Get(strconv.Itoa(i)).(goja.String); ok {
			size += float64(text.Length())
		}
	}
	rt.limit(size, maxText, "the text of join()")
}

// guardApply limits argument lists that are made of something with a length.
func (rt *runtime) guardApply() {
	guard := func(object *goja.Object, name string, list int) {
		rt.wrap(object, name, func(original native) native {
			return func(call goja.FunctionCall) goja.Value {
				rt.limit(lengthOf(call.Argument(list)), maxArgs, "the argument list of "+name+"()")
				return original(call)
			}
		})
	}
	guard(rt.prototype("Function"), "apply", 1)
	guard(rt.global("Reflect"), "apply", 2)
	guard(rt.global("Reflect"), "construct", 1)
}

// guardBuffers limits what the constructors of buffers and typed arrays allocate.
func (rt *runtime) guardBuffers() {
	for _, name := range []string{
		"ArrayBuffer", "Int8Array", "Uint8Array", "Uint8ClampedArray", "Int16Array", "Uint16Array",
		"Int32Array", "Uint32Array", "Float32Array", "Float64Array",
	} {
		target := rt.global(name)
		construct, _ := goja.AssertConstructor(target)
		guarded := rt.js.ToValue(rt.js.NewProxy(target, &goja.ProxyTrapConfig{
			Construct: func(_ *goja.Object, args []goja.Value, newTarget *goja.Object) *goja.Object {
				if len(args) > 0 {
					rt.limit(sizeOf(args[0]), maxElements, "the "+name)
				}
				made, err := construct(newTarget, args...)
				if err != nil {
					panic(err)
				}
				return made
			},
		}))
		rt.redefine(rt.js.GlobalObject(), name, guarded)
		rt.redefine(target.Get("prototype").(*goja.Object), "constructor", guarded)
	}
}

func sizeOf(v goja.Value) float64 {
	if _, ok := v.(*goja.Object); ok {
		return lengthOf(v)
	}
	return v.ToFloat()
}

func (rt *runtime) guardJSON() {
	rt.wrap(rt.global("JSON"), "parse", func(original native) native {
		return func(call goja.FunctionCall) goja.Value {
			if len(call.Arguments) > 0 {
				text := asText(call.Arguments[0])
				call.Arguments[0] = text
				rt.limit(float64(text.Length()), maxText, "the text of JSON.parse()")
				rt.limit(float64(nestingOf(text.String())), maxJSON, "the nesting of JSON.parse()")
			}
			return original(call)
		}
	})
}

// nestingOf is how deep the brackets of a JSON text nest.
func nestingOf(text string) int {
	depth, deepest := 0, 0
	quoted := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[' || c == '{':
			depth++
			deepest = max(deepest, depth)
		case c == ']' || c == '}':
			depth--
		}
	}
	return deepest
}

// removeCodeMakers replaces the constructors of functions, which are reachable
// from any function. `x instanceof Function` still works.
func (rt *runtime) removeCodeMakers() {
	for _, source := range []string{"(function(){})", "(async function(){})", "(function*(){})"} {
		sample, err := rt.js.RunString(source)
		must(err)
		proto := sample.(*goja.Object).Prototype()
		refusal := rt.js.ToValue(func(goja.ConstructorCall) *goja.Object {
			rt.throw("Function is not available in a routing script: code may not be made at run time")
			return nil
		}).(*goja.Object)
		must(refusal.DefineDataProperty("prototype", proto, goja.FLAG_FALSE, goja.FLAG_FALSE, goja.FLAG_FALSE))
		rt.redefine(proto, "constructor", refusal)
	}
	rt.redefine(rt.js.GlobalObject(), "Function", rt.prototype("Function").Get("constructor"))
}

// removeBigInts removes what makes a BigInt without naming it; installAbsent and
// the check at load do the rest.
func (rt *runtime) removeBigInts() {
	view := rt.prototype("DataView")
	for _, name := range []string{"getBigInt64", "getBigUint64", "setBigInt64", "setBigUint64"} {
		must(view.Delete(name))
	}
}
