package scripting

import (
	"reflect"
	"slices"

	"github.com/dop251/goja/ast"
	"github.com/dop251/goja/token"
)

// warn finds what runs, but may not do what its author thinks: a variable that
// outlives the request, and a way through route without a return.
func (s *source) warn(tree *ast.Program, route ast.Expression) []warning {
	body, ok := moduleOf(tree)
	if !ok {
		body = tree.Body
	}
	warnings := s.outerWrites(body)
	if f, ok := route.(*ast.FunctionLiteral); ok && !ends(f.Body) {
		warnings = append(warnings, s.fallsThrough(f.Name, f))
	}
	if f, ok := route.(*ast.ArrowFunctionLiteral); ok {
		if block, ok := f.Body.(*ast.BlockStatement); ok && !ends(block) {
			warnings = append(warnings, s.fallsThrough(nil, f))
		}
	}
	return slices.DeleteFunc(warnings, func(w warning) bool { return w.at.line == 0 })
}

func (s *source) fallsThrough(name *ast.Identifier, route ast.Expression) warning {
	at := s.at(route.Idx0())
	if name != nil {
		at = s.at(name.Idx)
	}
	return warning{at, "there is a way through route without a return: then default_cluster decides; write `return null` where that is meant"}
}

// outerWrites finds assignments inside of functions to variables of the top level.
func (s *source) outerWrites(body []ast.Statement) []warning {
	outer := topLevel(body)
	if len(outer) == 0 {
		return nil
	}
	var found []warning
	for _, statement := range body {
		walk(reflect.ValueOf(statement), func(node any) bool {
			switch node.(type) {
			case *ast.FunctionLiteral, *ast.ArrowFunctionLiteral:
				found = append(found, s.writesIn(node, outer)...)
				return false
			}
			return true
		})
	}
	return found
}

// topLevel is the names of the variables that a list of statements declares.
func topLevel(body []ast.Statement) map[string]bool {
	names := make(map[string]bool)
	for _, statement := range body {
		switch statement := statement.(type) {
		case *ast.VariableStatement:
			note(names, statement.List)
		case *ast.LexicalDeclaration:
			if statement.Token != token.CONST {
				note(names, statement.List)
			}
		}
	}
	return names
}

func note(names map[string]bool, bindings []*ast.Binding) {
	for _, b := range bindings {
		if id, ok := b.Target.(*ast.Identifier); ok {
			names[id.Name.String()] = true
		}
	}
}

// writesIn finds assignments to outer names, as far as nothing inside has the same
// name.
func (s *source) writesIn(function any, outer map[string]bool) []warning {
	own := make(map[string]bool)
	var writes []*ast.Identifier
	walk(reflect.ValueOf(function), func(node any) bool {
		switch node := node.(type) {
		case *ast.Binding:
			if id, ok := node.Target.(*ast.Identifier); ok {
				own[id.Name.String()] = true
			}
		case *ast.AssignExpression:
			if id, ok := node.Left.(*ast.Identifier); ok {
				writes = append(writes, id)
			}
		case *ast.UnaryExpression:
			if id, ok := node.Operand.(*ast.Identifier); ok && (node.Operator == token.INCREMENT || node.Operator == token.DECREMENT) {
				writes = append(writes, id)
			}
		}
		return true
	})
	var found []warning
	for _, id := range writes {
		if name := id.Name.String(); outer[name] && !own[name] {
			found = append(found, warning{s.at(id.Idx),
				"`" + name + "` outlives the request: several runtimes have one each, and a reload begins anew, so it counts nothing well"})
		}
	}
	return found
}

// ends reports whether control never comes out behind a statement. It takes what
// it does not know for something that does not end.
func ends(statement ast.Statement) bool {
	switch st := statement.(type) {
	case *ast.ReturnStatement, *ast.ThrowStatement:
		return true
	case *ast.BlockStatement:
		return st != nil && slices.ContainsFunc(st.List, ends)
	case *ast.IfStatement:
		return st.Alternate != nil && ends(st.Consequent) && ends(st.Alternate)
	case *ast.TryStatement:
		if st.Finally != nil && ends(st.Finally) {
			return true
		}
		return ends(st.Body) && (st.Catch == nil || ends(st.Catch.Body))
	case *ast.SwitchStatement:
		return endsSwitch(st)
	case *ast.LabelledStatement:
		return ends(st.Statement)
	case *ast.WhileStatement:
		return isTrue(st.Test) && !breaks(st.Body)
	case *ast.ForStatement:
		return st.Test == nil && !breaks(st.Body)
	}
	return false
}

func isTrue(e ast.Expression) bool {
	b, ok := e.(*ast.BooleanLiteral)
	return ok && b.Value
}

// endsSwitch: there is a default, no case breaks out, and each falls into one that
// ends.
func endsSwitch(st *ast.SwitchStatement) bool {
	if st.Default < 0 || len(st.Body) == 0 {
		return false
	}
	for _, c := range st.Body {
		if slices.ContainsFunc(c.Consequent, breaks) {
			return false
		}
	}
	return slices.ContainsFunc(st.Body[len(st.Body)-1].Consequent, ends)
}

// breaks reports whether there is a break in a statement, be it one of a loop
// inside.
func breaks(statement ast.Statement) (found bool) {
	walk(reflect.ValueOf(statement), func(node any) bool {
		if branch, ok := node.(*ast.BranchStatement); ok && branch.Token == token.BREAK {
			found = true
		}
		return !found
	})
	return found
}
