package scripting

import (
	"reflect"
	"strconv"

	"github.com/dop251/goja"
	"github.com/dop251/goja/ast"
	"github.com/dop251/goja/file"
	"github.com/dop251/goja/unistring"
)

// passing is the function of the engine's own that each return tells first that it
// was reached, where [Options.Places] asks for that.
const passing = "__outrider_passing"

// placeReturns has each return of a program tell its number first: `return x` becomes
// `return passing(n), x`. It returns where they are, by number.
func (s *source) placeReturns(tree *ast.Program) (places []position) {
	number := func(at file.Idx, value ast.Expression) ast.Expression {
		places = append(places, s.at(at))
		return &ast.SequenceExpression{Sequence: []ast.Expression{passes(at, len(places)-1), value}}
	}
	walk(reflect.ValueOf(tree.Body), func(node any) bool {
		switch node := node.(type) {
		case *ast.ReturnStatement:
			if node.Argument != nil {
				node.Argument = number(node.Return, node.Argument)
			}
		case *ast.ExpressionBody:
			node.Expression = number(node.Expression.Idx0(), node.Expression)
		}
		return true
	})
	return places
}

func passes(at file.Idx, number int) ast.Expression {
	return &ast.CallExpression{
		Callee:       &ast.Identifier{Name: unistring.String(passing), Idx: at},
		ArgumentList: []ast.Expression{&ast.NumberLiteral{Idx: at, Literal: strconv.Itoa(number), Value: int64(number)}},
	}
}

// installPassing notes the return that was reached last of those that are called
// through the fewest others: the one of route itself.
func (rt *runtime) installPassing() {
	if rt.script.places == nil {
		return
	}
	pass := rt.function(passing, func(call goja.FunctionCall) goja.Value {
		depth := len(rt.js.CaptureCallStack(maxCallStack, nil))
		number := call.Argument(0).ToInteger()
		if n := rt.notes; n != nil && (n.Place == "" || depth <= n.depth) && number >= 0 && number < int64(len(rt.script.places)) {
			n.Place, n.depth = rt.script.source.place(rt.script.places[number]), depth
		}
		return goja.Undefined()
	})
	must(rt.js.GlobalObject().DefineDataProperty(passing, pass, goja.FLAG_FALSE, goja.FLAG_FALSE, goja.FLAG_FALSE))
}
