package config

import "fmt"

// Places tells where the keys of a configuration were written, for those who find
// something wrong with them later.
type Places struct{ r *reader }

// Of is where a key such as clusters.one.check.interval was written: file, line and
// column, the name of a variable, or a flag. It is the nearest section around a key
// that was left to its default, and "" when nothing was written.
func (p Places) Of(key string) string {
	if p.r == nil {
		return ""
	}
	at := p.r.at(key)
	if at.line == 0 {
		return at.source
	}
	return fmt.Sprintf("%s:%d:%d", at.source, at.line, at.column)
}
