package config

import (
	"fmt"
	"strings"
)

// A Setting is one key of a configuration in force.
type Setting struct {
	Key   string // clusters.one.check.interval
	Value string // as it was written, with variables filled in; what may be a secret is hidden
	Place string // where it was written: file:line:column, a variable, a flag; empty: nowhere, it is the default
}

// Settings are all keys that have a value, in the order of the documentation.
func (c *Config) Settings() []Setting { return c.settings }

// settle notes a value that was taken for the key at path.
func (r *reader) settle(path, text string, parsed any) {
	s := Setting{Key: path, Value: text}
	if r.isWritten(path) {
		s.Place = Places{r}.Of(path)
	}
	if keys, ok := parsed.(Secret); ok {
		s.Value = fmt.Sprint(keys)
	}
	if strings.Contains(path, ".check.headers.") { // which may well authorize
		s.Value = "(hidden)"
	}
	r.settings = append(r.settings, s)
}
