package attach

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml"
)

// block is a value as YAML that begins on a line of its own, each line with the
// margin before it; a scalar stays on the line of its key. It is written for readers
// of YAML 1.1, too, to whom 25:25 is a number and "no" is false: every text in
// doubt has quotes.
func block(value any, margin string) string {
	var text strings.Builder
	switch value := value.(type) {
	case yaml.MapSlice:
		if len(value) == 0 {
			return " {}"
		}
		for _, item := range value {
			text.WriteString("\n" + margin + scalar(item.Key) + ":" + block(item.Value, margin+"  "))
		}
	case []any:
		if len(value) == 0 {
			return " []"
		}
		for _, item := range value {
			text.WriteString("\n" + margin + "-" + element(item, margin+"  "))
		}
	case nil:
	default:
		return " " + scalar(value)
	}
	return text.String()
}

// element is an item of a list, whose first line goes on behind the dash.
func element(item any, margin string) string {
	return " " + strings.TrimPrefix(strings.TrimPrefix(block(item, margin), "\n"+margin), " ")
}

var (
	plain = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]*$`)
	word  = regexp.MustCompile(`(?i)^(y|n|yes|no|on|off|true|false|null)$`)
)

func scalar(value any) string {
	text, ok := value.(string)
	if !ok {
		return fmt.Sprint(value)
	}
	if plain.MatchString(text) && !word.MatchString(text) {
		return text
	}
	var quoted strings.Builder // JSON's quotes are YAML's, too
	encoder := json.NewEncoder(&quoted)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(text) // of a string: never fails
	return strings.TrimSuffix(quoted.String(), "\n")
}
