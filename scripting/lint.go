package scripting

import (
	"math/big"
	"reflect"
	"slices"

	"github.com/dop251/goja/ast"
	"github.com/dop251/goja/file"
)

// findings are what a look over the syntax tree found that is no fault.
type findings struct {
	route    position  // where route is declared; none if it comes about in another way
	literals []literal // the cluster names that it returns literally, and the keys that no decision has
	warnings []warning
	places   []position // of the returns, where somebody asks
}

// A warning is something that runs, but may not do what its author thinks.
type warning struct {
	at      position
	message string
}

type literal struct {
	name string
	at   position
	key  bool // of an object that decides, and none that it may have
}

// lint refuses what parses but may not run: BigInt literals, an async or
// generator route.
func (s *source) lint(tree *ast.Program, backtracking bool) (*findings, error) {
	if at, found := findBigInt(reflect.ValueOf(tree.Body)); found {
		return nil, s.faultAt(int(at)-1, "SyntaxError: BigInt is not available in a routing script")
	}
	if err := s.lintRegexps(tree, backtracking); err != nil {
		return nil, err
	}
	if at, again := routeAgain(tree.Body); again {
		return nil, s.faultAt(int(at)-1, "the script defines route twice: keep one")
	}
	route, declared := findRouteLiteral(tree.Body)
	if body, ok := moduleOf(tree); declared == 0 && ok {
		route, declared = exportedRoute(body)
	}
	if function, ok := route.(*ast.FunctionLiteral); ok && function.Generator {
		return nil, s.faultAt(int(function.Idx0())-1, "route may not be a generator: write `function route(req, ctx)`")
	}
	if isAsync(route) {
		return nil, s.faultAt(int(route.Idx0())-1, "route may not be async: it must answer at once, and has nothing to wait for")
	}
	found := &findings{}
	if declared > 0 {
		found.route = s.at(declared)
	}
	s.collectLiterals(bodyOf(route), &found.literals)
	found.warnings = s.warn(tree, route)
	return found, nil
}

// findRouteLiteral is what the top level declares as route, and where.
func findRouteLiteral(body []ast.Statement) (route ast.Expression, at file.Idx) {
	return findDeclared(body, "route")
}

// routeAgain is where a second function of the top level is called route, which
// would silently replace the first.
func routeAgain(body []ast.Statement) (at file.Idx, again bool) {
	for i := range body {
		if _, first := findDeclared(body[i:i+1], "route"); first > 0 {
			_, at := findDeclared(body[i+1:], "route")
			return at, at > 0
		}
	}
	return 0, false
}

// findDeclared is what a list of statements declares by a name, and where.
func findDeclared(body []ast.Statement, name string) (value ast.Expression, at file.Idx) {
	for _, statement := range body {
		switch statement := statement.(type) {
		case *ast.FunctionDeclaration:
			if id := statement.Function.Name; id != nil && id.Name.String() == name {
				return statement.Function, id.Idx
			}
		case *ast.VariableStatement:
			value, at = findBinding(statement.List, name)
		case *ast.LexicalDeclaration:
			value, at = findBinding(statement.List, name)
		}
		if at > 0 {
			return value, at
		}
	}
	return nil, 0
}

func findBinding(bindings []*ast.Binding, name string) (value ast.Expression, at file.Idx) {
	for _, binding := range bindings {
		if id, ok := binding.Target.(*ast.Identifier); ok && id.Name.String() == name {
			return binding.Initializer, id.Idx
		}
	}
	return nil, 0
}

func isAsync(route ast.Expression) bool {
	switch route := route.(type) {
	case *ast.FunctionLiteral:
		return route.Async
	case *ast.ArrowFunctionLiteral:
		return route.Async
	}
	return false
}

func bodyOf(route ast.Expression) ast.Node {
	switch route := route.(type) {
	case *ast.FunctionLiteral:
		return route.Body
	case *ast.ArrowFunctionLiteral:
		return route.Body
	}
	return nil
}

// collectLiterals finds the strings that route itself returns, not those of the
// functions inside it.
func (s *source) collectLiterals(body ast.Node, found *[]literal) {
	if expression, ok := body.(*ast.ExpressionBody); ok {
		s.collectTargets(expression.Expression, found)
		return
	}
	walk(reflect.ValueOf(body), func(node any) bool {
		switch node := node.(type) {
		case *ast.FunctionLiteral, *ast.ArrowFunctionLiteral, *ast.ClassLiteral:
			return false
		case *ast.ReturnStatement:
			s.collectTargets(node.Argument, found)
			return false
		}
		return true
	})
}

func (s *source) collectTargets(returned ast.Expression, found *[]literal) {
	switch e := returned.(type) {
	case *ast.StringLiteral:
		*found = append(*found, literal{name: e.Value.String(), at: s.at(e.Idx)})
	case *ast.ConditionalExpression:
		s.collectTargets(e.Consequent, found)
		s.collectTargets(e.Alternate, found)
	case *ast.ArrayLiteral:
		for _, element := range e.Value {
			s.collectTargets(element, found)
		}
	case *ast.ObjectLiteral:
		decides := slices.ContainsFunc(e.Value, decidesBy)
		for _, property := range e.Value {
			s.collectProperty(property, decides, found)
		}
	}
}

// decidesBy tells a property that only a decision has from a weight.
func decidesBy(property ast.Property) bool {
	keyed, ok := property.(*ast.PropertyKeyed)
	if !ok || keyed.Computed || !isKey(keyed.Key, "cluster") && !isKey(keyed.Key, "respond") {
		return false
	}
	_, weight := keyed.Value.(*ast.NumberLiteral)
	return !weight
}

// collectProperty looks at a property of an object that is returned: its cluster,
// one of its weights, or what it must not have where it decides.
func (s *source) collectProperty(property ast.Property, decides bool, found *[]literal) {
	keyed, ok := property.(*ast.PropertyKeyed)
	if !ok || keyed.Computed {
		return
	}
	key, ok := keyed.Key.(*ast.StringLiteral)
	unknown := ok && !slices.Contains(decisionKeys, key.Value.String())
	if decides && unknown {
		*found = append(*found, literal{key.Value.String(), s.at(key.Idx), true})
		return
	}
	if _, weight := keyed.Value.(*ast.NumberLiteral); !weight {
		if isKey(keyed.Key, "cluster") {
			s.collectTargets(keyed.Value, found)
		}
		return
	}
	if unknown {
		*found = append(*found, literal{name: key.Value.String(), at: s.at(key.Idx)})
	}
}

func isKey(key ast.Expression, name string) bool {
	literal, ok := key.(*ast.StringLiteral)
	return ok && literal.Value.String() == name
}

func (s *source) at(idx file.Idx) position {
	return s.position(file.NewFile(s.name, s.text, 1).Position(int(idx) - 1))
}

func findBigInt(tree reflect.Value) (at file.Idx, found bool) {
	walk(tree, func(node any) bool {
		number, ok := node.(*ast.NumberLiteral)
		if ok && !found {
			_, found = number.Value.(*big.Int)
			at = number.Idx
		}
		return !found
	})
	return at, found
}

// walk visits the nodes of a syntax tree in the order of the source; visit says
// whether to go into the node. Package ast has no walker of its own.
func walk(v reflect.Value, visit func(node any) bool) {
	switch v.Kind() {
	case reflect.Interface:
		walk(v.Elem(), visit)
	case reflect.Pointer:
		if v.IsNil() || v.Type().Elem().PkgPath() != reflect.TypeFor[ast.Program]().PkgPath() || !visit(v.Interface()) {
			return
		}
		walk(v.Elem(), visit)
	case reflect.Slice:
		for i := range v.Len() {
			walk(v.Index(i), visit)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).Name != "DeclarationList" { // declarations a second time
				walk(v.Field(i), visit)
			}
		}
	}
}

// warnOfUnknownLiterals names the clusters that route returns literally and that
// do not exist. It is no fault: clusters come and go with the configuration.
// Neither is a key that no decision has: that return may never be reached.
func (s *Script) warnOfUnknownLiterals(literals []literal) {
	for _, l := range literals {
		if l.key {
			s.log.Warnf("%s: every request for which this is returned fails: %s", l.at, unknownKey(l.name))
			continue
		}
		if _, _, ok := s.options.Clusters.Health(l.name); !ok {
			s.log.Warnf("%s: route returns %q, which is no cluster%s", l.at, l.name, didYouMean(l.name, s.options.Clusters.Names()))
		}
	}
}
