package scripting

import (
	"errors"
	"fmt"
	goruntime "runtime"
	"strings"

	"github.com/dop251/goja"
)

const maxMessage = 500 // bytes of an exception's message that are kept

// failure turns what came up out of the engine during a call into a decision. It
// runs under the call's ticket: to render a thrown object may run its code.
func (rt *runtime) failure(x any) Decision {
	if reached, ok := x.(*goja.InterruptedError); ok {
		if reached.Value() == any(errMemory) {
			return rt.script.fail(Exception, fmt.Errorf("%s: RangeError: %w", rt.script.where(reached.Stack()), errMemory))
		}
		return rt.script.fail(Timeout, rt.script.ranPast("route", rt.script.where(reached.Stack())))
	}
	message, stack := rt.describe(x)
	return rt.script.fail(Exception, fmt.Errorf("%s: %s", rt.script.where(stack), message))
}

// describe renders what a script threw, as "TypeError: ...", and where.
func (rt *runtime) describe(x any) (message string, stack []goja.StackFrame) {
	switch x := x.(type) {
	case *goja.StackOverflowError:
		return "RangeError: Maximum call stack size exceeded", x.Stack()
	case *goja.InterruptedError:
		return "ran past its deadline", x.Stack()
	case *goja.Exception:
		return rt.render(x.Value()), x.Stack()
	case goja.Value:
		return rt.render(x), nil
	case goruntime.Error:
		rt.broken = true
		return "the JavaScript engine failed: " + x.Error(), nil
	case error:
		if thrown, ok := errors.AsType[*goja.Exception](x); ok {
			return rt.render(thrown.Value()), thrown.Stack()
		}
		rt.broken = true
		return "the JavaScript engine failed: " + x.Error(), nil
	}
	rt.broken = true
	return fmt.Sprintf("the JavaScript engine failed: %v", x), nil
}

// render shows a thrown value. Getters and toString of the script may run, may
// throw and may loop until the interrupt; then it says so.
func (rt *runtime) render(v goja.Value) (message string) {
	defer func() {
		if x := recover(); x != nil {
			message = "threw an object that cannot be shown"
		}
	}()
	switch v := v.(type) {
	case nil:
		return "threw undefined"
	case *goja.Object:
		return shorten(oneLine(renderObject(v)), maxMessage)
	case goja.String:
		return shorten("threw "+fmt.Sprintf("%q", shorten(v.String(), maxMessage)), maxMessage)
	}
	return shorten("threw "+v.String(), maxMessage)
}

// renderObject is Error.prototype.toString for errors, String(o) for others.
func renderObject(o *goja.Object) string {
	if o.ClassName() != "Error" {
		return "threw " + o.String()
	}
	name, message := textOf(o.Get("name")), textOf(o.Get("message"))
	if name == "" || message == "" {
		return name + message
	}
	return name + ": " + message
}

func textOf(v goja.Value) string {
	if v == nil || goja.IsUndefined(v) {
		return ""
	}
	return v.String()
}

func oneLine(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return ' '
		}
		return c
	}, s)
}

// where names the place of the innermost frame that is the author's, or the script.
func (s *Script) where(stack []goja.StackFrame) string { return s.source.place(s.source.find(stack)) }

// find is the place of the innermost frame that is in the source.
func (s *source) find(stack []goja.StackFrame) position {
	for i := range stack {
		if stack[i].SrcName() != s.name {
			continue
		}
		if at := s.position(stack[i].Position()); at.line > 0 {
			return at
		}
	}
	return position{}
}

// loadError is the LoadError for what came up out of the engine at load.
func (rt *runtime) loadError(x any) error {
	message, stack := rt.describe(x)
	if reached, ok := x.(*goja.InterruptedError); ok {
		message = fmt.Sprintf("the top level of the script ran past its deadline of %v", rt.script.options.Timeout)
		if reached.Value() == any(errMemory) {
			message = "the top level of the script takes too much memory"
		}
	}
	return rt.script.source.fault(rt.script.source.find(stack), message)
}
