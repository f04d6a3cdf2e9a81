package scripting

import (
	"fmt"
	"strings"

	"github.com/dop251/goja"
	"github.com/dop251/goja/ast"
	"github.com/dop251/goja/file"
)

// Exports is the global that holds what a bundled module exports: an object with
// the properties route and default. The code of a bundle begins with
//
//	var __outrider = (() => { ... })();
const Exports = "__outrider"

// moduleOf is the body of the function that a bundle's modules are in.
func moduleOf(tree *ast.Program) (body []ast.Statement, ok bool) {
	value, _ := findDeclared(tree.Body, Exports)
	call, _ := value.(*ast.CallExpression)
	if call == nil {
		return nil, false
	}
	switch f := call.Callee.(type) {
	case *ast.ArrowFunctionLiteral:
		if block, ok := f.Body.(*ast.BlockStatement); ok {
			return block.List, true
		}
	case *ast.FunctionLiteral:
		return f.Body.List, true
	}
	return nil, false
}

// exportedRoute is what a bundle exports as its route, and where that is declared.
// The exports are named in a call that the bundler writes first:
//
//	__export(route_exports, { default: () => route_default });
func exportedRoute(body []ast.Statement) (route ast.Expression, at file.Idx) {
	for _, statement := range body {
		expression, ok := statement.(*ast.ExpressionStatement)
		if !ok {
			continue
		}
		call, ok := expression.Expression.(*ast.CallExpression)
		if !ok || len(call.ArgumentList) != 2 || !isIdentifier(call.Callee, "__export") {
			continue
		}
		names, _ := call.ArgumentList[1].(*ast.ObjectLiteral)
		for _, export := range []string{"route", "default"} {
			if name := exportOf(names, export); name != "" {
				value, at := findDeclared(body, name)
				return unwrapRoute(body, value, 0), at
			}
		}
	}
	return nil, 0
}

func isIdentifier(e ast.Expression, name string) bool {
	id, ok := e.(*ast.Identifier)
	return ok && id.Name.String() == name
}

// exportOf is the variable that is exported by a name.
func exportOf(names *ast.ObjectLiteral, export string) string {
	if names == nil {
		return ""
	}
	for _, property := range names.Value {
		keyed, ok := property.(*ast.PropertyKeyed)
		if !ok || !isKey(keyed.Key, export) {
			continue
		}
		if getter, ok := keyed.Value.(*ast.ArrowFunctionLiteral); ok {
			if body, ok := getter.Body.(*ast.ExpressionBody); ok {
				if id, ok := body.Expression.(*ast.Identifier); ok {
					return id.Name.String()
				}
			}
		}
	}
	return ""
}

// maxWraps bounds names for names, which may go in a circle.
const maxWraps = 10

// unwrapRoute looks into defineRoute(...), { route } and names.
func unwrapRoute(body []ast.Statement, value ast.Expression, wraps int) ast.Expression {
	if wraps > maxWraps {
		return nil
	}
	switch v := value.(type) {
	case *ast.CallExpression:
		if isIdentifier(v.Callee, "defineRoute") && len(v.ArgumentList) == 1 {
			return unwrapRoute(body, v.ArgumentList[0], wraps+1)
		}
	case *ast.Identifier:
		found, _ := findDeclared(body, v.Name.String())
		return unwrapRoute(body, found, wraps+1)
	case *ast.ObjectLiteral:
		for _, property := range v.Value {
			if keyed, ok := property.(*ast.PropertyKeyed); ok && isKey(keyed.Key, "route") {
				return unwrapRoute(body, keyed.Value, wraps+1)
			}
			if short, ok := property.(*ast.PropertyShort); ok && short.Name.Name.String() == "route" {
				found, _ := findDeclared(body, "route")
				return found
			}
		}
	}
	return value
}

const noRouteHelp = "write `export default defineRoute((req, ctx) => { ... })`, or `function route(req, ctx) { ... }`"

// lookUpRoute is the value that a runtime whose top level has run has for its
// route: a global, or what the module exports.
func (s *Script) lookUpRoute(rt *runtime) (goja.Value, error) {
	exports, isModule := rt.js.Get(Exports).(*goja.Object)
	if !isModule {
		value := rt.js.Get("route")
		if value == nil || goja.IsUndefined(value) {
			return nil, s.source.fault(position{}, "the script defines no route: "+noRouteHelp+didYouMeanRoute(rt.js.GlobalObject().Keys()))
		}
		return value, nil
	}
	route, byDefault := exports.Get("route"), exports.Get("default")
	if object, ok := byDefault.(*goja.Object); ok && object.ClassName() == "Object" {
		byDefault = object.Get("route")
	}
	switch {
	case isNothing(route) && isNothing(byDefault):
		return nil, s.source.fault(position{}, "the script exports no route: "+noRouteHelp+didYouMeanRoute(exports.Keys()))
	case !isNothing(route) && !isNothing(byDefault) && !route.SameAs(byDefault):
		return nil, s.source.fault(s.routeAt, "the script exports two routes, `route` and the default: keep one")
	case isNothing(route):
		return byDefault, nil
	}
	return route, nil
}

// findRoute is the script's route function in a runtime whose top level has run.
func (s *Script) findRoute(rt *runtime) (native, error) {
	value, err := s.lookUpRoute(rt)
	if err != nil {
		return nil, err
	}
	at := s.routeAt
	object, ok := value.(*goja.Object)
	if ok {
		if tag := object.GetSymbol(goja.SymToStringTag); tag != nil && strings.HasSuffix(tag.String(), "Function") {
			return nil, s.source.fault(at, fmt.Sprintf("route may not be async or a generator (it is of the kind %s)", tag))
		}
	}
	if !ok || object.ClassName() != "Function" {
		return nil, s.source.fault(at, fmt.Sprintf("route is %s, not a function: %s", kindOf(value), noRouteHelp))
	}
	function, ok := object.Export().(native)
	if !ok {
		return nil, s.source.fault(at, "route must be a plain function, not a proxy or a class")
	}
	return function, nil
}

// didYouMeanRoute names what may have been meant to be called route.
func didYouMeanRoute(names []string) string {
	for _, name := range names {
		if didYouMean(name, []string{"route"}) != "" {
			return fmt.Sprintf("; did you mean to call `%s` route?", name)
		}
	}
	return ""
}
