package scripting

import (
	"reflect"
	"strings"

	"github.com/dop251/goja/ast"
	"github.com/dop251/goja/file"
)

// lintRegexps refuses regular expressions that the engine gets silently wrong
// (\p{...}), and those that need backtracking, which a hostile request can make
// arbitrarily slow, unless they are allowed.
func (s *source) lintRegexps(tree *ast.Program, backtracking bool) (fault error) {
	walk(reflect.ValueOf(tree.Body), func(node any) bool {
		pattern, at := regexpOf(node)
		if fault == nil && pattern != "" {
			if message := faultOfPattern(pattern, backtracking); message != "" {
				fault = s.fault(s.at(at), message)
			}
		}
		return fault == nil
	})
	return fault
}

// regexpOf is the pattern of a literal, or of new RegExp("...").
func regexpOf(node any) (pattern string, at file.Idx) {
	var callee ast.Expression
	var arguments []ast.Expression
	switch node := node.(type) {
	case *ast.RegExpLiteral:
		return node.Pattern, node.Idx
	case *ast.NewExpression:
		callee, arguments = node.Callee, node.ArgumentList
	case *ast.CallExpression:
		callee, arguments = node.Callee, node.ArgumentList
	}
	if callee == nil || !isIdentifier(callee, "RegExp") || len(arguments) == 0 {
		return "", 0
	}
	if text, ok := arguments[0].(*ast.StringLiteral); ok {
		return text.Value.String(), text.Idx
	}
	return "", 0
}

// faultOfPattern is what is wrong with a pattern, or nothing.
func faultOfPattern(pattern string, backtracking bool) string {
	inClass := false
	for i := 0; i < len(pattern); i++ {
		rest := pattern[i:]
		switch {
		case strings.HasPrefix(rest, `\p{`), strings.HasPrefix(rest, `\P{`):
			return `\p{...} does not work in this engine, which would take it for something else: write the characters out, such as [a-zà-ÿ]`
		case rest[0] == '\\' && len(rest) > 1:
			if needsMemory(rest[1], inClass) && !backtracking {
				return "this regular expression needs backtracking (a back-reference), which a hostile request can make slow: do without, or set script.allow.backtracking"
			}
			i++
		case rest[0] == '[':
			inClass = true
		case rest[0] == ']':
			inClass = false
		case !inClass && !backtracking && looksAround(rest):
			return "this regular expression needs backtracking (it looks ahead or behind), which a hostile request can make slow: do without, or set script.allow.backtracking"
		}
	}
	return ""
}

// needsMemory tells \1 and \k<name> from other escapes.
func needsMemory(escaped byte, inClass bool) bool {
	return !inClass && (escaped >= '1' && escaped <= '9' || escaped == 'k')
}

func looksAround(rest string) bool {
	for _, group := range []string{"(?=", "(?!", "(?<=", "(?<!"} {
		if strings.HasPrefix(rest, group) {
			return true
		}
	}
	return false
}
