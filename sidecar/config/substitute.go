package config

import (
	"fmt"
	"regexp"
	"strings"
)

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// substitute replaces ${VAR}, ${VAR:-default} (used when VAR is unset or empty) and $$
// in s, and tells how many variables it met. A dollar before anything else stays.
func substitute(s string, lookup func(string) (string, bool)) (string, int, error) {
	var out strings.Builder
	variables := 0
	for {
		before, rest, found := strings.Cut(s, "$")
		out.WriteString(before)
		if !found {
			return out.String(), variables, nil
		}
		switch {
		case strings.HasPrefix(rest, "$"):
			out.WriteByte('$')
			s = rest[1:]
		case strings.HasPrefix(rest, "{"):
			inner, after, closed := strings.Cut(rest[1:], "}")
			if !closed {
				return "", 0, fmt.Errorf("${%s is not closed; write ${NAME}, or $$ for a dollar", inner)
			}
			value, err := expand(inner, lookup)
			if err != nil {
				return "", 0, err
			}
			out.WriteString(value)
			variables++
			s = after
		default:
			out.WriteByte('$')
			s = rest
		}
	}
}

// expand is the value of what stands between the braces.
func expand(inner string, lookup func(string) (string, bool)) (string, error) {
	name, fallback, hasFallback := strings.Cut(inner, ":-")
	if !variableName.MatchString(name) {
		return "", fmt.Errorf("${%s} is not a variable; write ${NAME} or ${NAME:-default}, or $$ for a dollar", inner)
	}
	if strings.Contains(fallback, "${") {
		return "", fmt.Errorf("${%s}: a default cannot hold another variable", inner)
	}
	value, set := lookup(name)
	switch {
	case hasFallback && value == "":
		return fallback, nil
	case !set:
		return "", fmt.Errorf("${%s} is not set in the environment; set it, or write ${%s:-default}", name, name)
	}
	return value, nil
}
