package scripting

import (
	"strings"
	"unicode/utf8"

	"github.com/dop251/goja"
)

// installStartsWith replaces String.prototype.startsWith, which most routing rules
// are made of, by one that compares bytes: the engine's own compares one UTF-16
// unit at a time through two interfaces and allocates for its argument. Anything
// but startsWith(ASCII) on a string goes to the engine's own.
func (rt *runtime) installStartsWith() {
	rt.wrap(rt.prototype("String"), "startsWith", func(original native) native {
		return func(call goja.FunctionCall) goja.Value {
			if len(call.Arguments) == 1 {
				text, isText := call.This.(goja.String)
				prefix, isPrefix := call.Arguments[0].(goja.String)
				if isText && isPrefix && isASCII(prefix.String()) {
					return rt.truth(strings.HasPrefix(text.String(), prefix.String()))
				}
			}
			return original(call)
		}
	})
}

func (rt *runtime) truth(b bool) goja.Value {
	if b {
		return rt.yes
	}
	return rt.no
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
