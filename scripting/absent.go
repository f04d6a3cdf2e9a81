package scripting

import "github.com/dop251/goja"

// absent lists what a JavaScript author may look for and does not find here, with
// what to use instead.
//
//nolint:gochecknoglobals // immutable table
var absent = map[string]string{
	"fetch":           "a script cannot do I/O; it decides from req and ctx alone",
	"XMLHttpRequest":  "a script cannot do I/O; it decides from req and ctx alone",
	"WebSocket":       "a script cannot do I/O; it decides from req and ctx alone",
	"setTimeout":      "a script must answer at once; there are no timers",
	"setInterval":     "a script must answer at once; there are no timers",
	"setImmediate":    "a script must answer at once; there are no timers",
	"clearTimeout":    "a script must answer at once; there are no timers",
	"clearInterval":   "a script must answer at once; there are no timers",
	"queueMicrotask":  "a script must answer at once; there are no timers",
	"URL":             "use req.path and req.query",
	"URLSearchParams": "use req.query",
	"Request":         "the request is the argument of route(req, ctx)",
	"Response":        "return { respond: { status, headers, body } }",
	"Headers":         "use req.headers",
	"structuredClone": "use JSON.parse(JSON.stringify(value))",
	"atob":            "base64 is not in this version",
	"btoa":            "base64 is not in this version",
	"TextEncoder":     "work on strings",
	"TextDecoder":     "work on strings",
	"Buffer":          "work on strings",
	"Intl":            "format without it: the machine's locale must not decide routes",
	"process":         "a script sees nothing of the process",
	"require":         "write import ... from ./file.js",
	"WebAssembly":     "write JavaScript",
	"crypto":          "use ctx.hash(text) for a stable split",
	"performance":     "use ctx.now",
	"eval":            "code may not be made at run time",
	"BigInt":          "use numbers",
	"BigInt64Array":   "use numbers",
	"BigUint64Array":  "use numbers",
}

// installAbsent makes reading one of those throw, where a bare ReferenceError
// would leave the author guessing. A script may define the name itself.
func (rt *runtime) installAbsent() {
	global := rt.js.GlobalObject()
	for name, instead := range absent {
		getter := rt.function(name, func(goja.FunctionCall) goja.Value {
			rt.throw("%s is not available in a routing script: %s", name, instead)
			return nil
		})
		setter := rt.function(name, func(call goja.FunctionCall) goja.Value {
			must(global.DefineDataProperty(name, call.Argument(0), goja.FLAG_TRUE, goja.FLAG_TRUE, goja.FLAG_FALSE))
			return goja.Undefined()
		})
		must(global.DefineAccessorProperty(name, getter, setter, goja.FLAG_TRUE, goja.FLAG_FALSE))
	}
}
