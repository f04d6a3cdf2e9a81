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
	maxNesting  = 200       // nesting of JSON, and of groups in a regular expression
	maxNodes    = 100_000   // values in what JSON.stringify writes
	maxPattern  = 1 << 16   // characters of a regular expression made at run time
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
	rt.guardRegExps()
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
			args[i] = rt.asText(args[i])
			size += args[i].(goja.String).Length()
		}
		return float64(size)
	})
	replace := func(text goja.String, args []goja.Value) float64 {
		if len(args) < 2 || isFunction(args[1]) {
			return 0 // a function can be interrupted
		}
		args[1] = rt.asText(args[1])
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
			call.This = rt.asText(call.This)
			rt.limit(size(call.This.(goja.String), call.Arguments), maxText, name+"()")
			return original(call)
		}
	})
}

func (rt *runtime) asText(v goja.Value) goja.String {
	if text, ok := v.(goja.String); ok {
		return text
	}
	if text, ok := v.ToString().(goja.String); ok {
		return text
	}
	return rt.text(v.String()).(goja.String) // ToString leaves numbers as they are
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
		size *= float64(rt.asText(separator).Length())
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
		rt.guardConstructor(name, func(args []goja.Value) {
			rt.limit(sizeOf(args[0]), maxElements, "the "+name)
		})
	}
}

// guardConstructor puts a check of the arguments before a constructor, also where
// it is reached through an object's constructor property. With no arguments there
// is nothing to check.
func (rt *runtime) guardConstructor(name string, check func(args []goja.Value)) {
	target := rt.global(name)
	call := target.Export().(native)
	construct, _ := goja.AssertConstructor(target)
	hasInstance := rt.prototype("Function").GetSymbol(goja.SymHasInstance).Export().(native)
	var guarded *goja.Object
	instanceOf := rt.function("[Symbol.hasInstance]", func(call goja.FunctionCall) goja.Value {
		if call.This == guarded { // the engine's instanceof does not look through a proxy
			call.This = target
		}
		return hasInstance(call)
	})
	guarded = rt.js.ToValue(rt.js.NewProxy(target, &goja.ProxyTrapConfig{
		Construct: func(_ *goja.Object, args []goja.Value, newTarget *goja.Object) *goja.Object {
			if len(args) > 0 {
				check(args)
			}
			if newTarget == guarded {
				newTarget = target
			}
			made, err := construct(newTarget, args...)
			if err != nil {
				panic(err)
			}
			return made
		},
		GetSym: func(_ *goja.Object, symbol *goja.Symbol, _ goja.Value) goja.Value {
			switch symbol {
			case goja.SymHasInstance:
				return instanceOf
			case goja.SymSpecies:
				return guarded
			}
			return target.GetSymbol(symbol)
		},
		Apply: func(_ *goja.Object, this goja.Value, args []goja.Value) goja.Value {
			if len(args) > 0 {
				check(args)
			}
			return call(goja.FunctionCall{This: this, Arguments: args})
		},
	})).(*goja.Object)
	rt.redefine(rt.js.GlobalObject(), name, guarded)
	rt.redefine(target.Get("prototype").(*goja.Object), "constructor", guarded)
}

// sizeOf is what a constructor of a buffer is asked to allocate.
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
				text := rt.asText(call.Arguments[0])
				call.Arguments[0] = text
				rt.limit(float64(text.Length()), maxText, "the text of JSON.parse()")
				rt.limit(float64(nestingOf(text.String())), maxNesting, "the nesting of JSON.parse()")
			}
			return original(call)
		}
	})
	rt.wrap(rt.global("JSON"), "stringify", func(original native) native {
		return func(call goja.FunctionCall) goja.Value {
			w := weighing{rt: rt}
			w.add(call.Argument(0), 0)
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

// A weighing goes over what JSON.stringify is to write, before it does: a value
// that holds another twice, twenty times over, has a million leaves.
type weighing struct {
	rt    *runtime
	nodes int
	text  int
}

func (w *weighing) add(value goja.Value, depth int) {
	w.nodes++
	w.rt.limit(float64(w.nodes), maxNodes, "the number of values in JSON.stringify()")
	if text, ok := value.(goja.String); ok {
		w.text += text.Length()
		w.rt.limit(float64(w.text), maxText, "the text of JSON.stringify()")
		return
	}
	object, ok := value.(*goja.Object)
	if !ok {
		return
	}
	w.rt.limit(float64(depth), maxNesting, "the nesting of JSON.stringify()")
	if object.ClassName() == "Array" {
		w.rt.limit(lengthOf(object), maxNodes, "the array in JSON.stringify()")
	}
	for _, key := range object.Keys() {
		w.text += len(key)
		w.add(object.Get(key), depth+1)
	}
}

// guardRegExps limits the regular expressions made at run time; tooDeep sees to
// the literals.
func (rt *runtime) guardRegExps() {
	check := func(args []goja.Value) {
		if object, ok := args[0].(*goja.Object); ok && object.ClassName() == "RegExp" {
			return
		}
		if goja.IsUndefined(args[0]) {
			return
		}
		text := rt.asText(args[0])
		args[0] = text
		rt.limit(float64(text.Length()), maxPattern, "the regular expression")
		rt.limit(float64(groupsIn(text.String())), maxNesting, "the nesting of the regular expression")
	}
	rt.guardConstructor("RegExp", check)
	for _, name := range []string{"match", "matchAll", "search"} {
		rt.wrap(rt.prototype("String"), name, func(original native) native {
			return func(call goja.FunctionCall) goja.Value {
				if pattern, ok := call.Argument(0).(goja.String); ok {
					check([]goja.Value{pattern})
				}
				return original(call)
			}
		})
	}
}

// groupsIn is how deep the groups of a regular expression nest.
func groupsIn(pattern string) int {
	depth, deepest := 0, 0
	class := false
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case c == '\\':
			i++
		case class:
			class = c != ']'
		case c == '[':
			class = true
		case c == '(':
			depth++
			deepest = max(deepest, depth)
		case c == ')':
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
