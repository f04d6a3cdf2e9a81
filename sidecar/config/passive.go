package config

import (
	"fmt"
	"slices"
	"time"
)

// Passive says when requests alone take a backend out, whatever checks say. The
// zero value is off.
type Passive struct {
	Failures int // 0 = off
	Window   time.Duration
	For      time.Duration // out the first time; then twice as long, and so on
	MaxOut   float64       // share of the cluster, 0 to 1
	On       []string      // PassiveConnect, PassiveTimeout, PassiveReset, and status codes as they are written
}

// What passive.on can name, beside status codes.
const (
	PassiveConnect = "connect" // no connection, or no TLS on it
	PassiveTimeout = "timeout" // no response head in time
	PassiveReset   = "reset"   // the connection ended inside an exchange
)

// Counts reports whether failures of this name count.
func (p Passive) Counts(word string) bool { return slices.Contains(p.On, word) }

// Statuses are the status codes that count.
func (p Passive) Statuses() []StatusRange {
	var all []StatusRange
	for _, word := range p.On {
		ranges, err := parseStatusRanges(word)
		if err == nil {
			all = append(all, ranges...)
		}
	}
	return all
}

// passive is a cluster's passive: on, off or a section.
type passive struct{ into *Passive }

func (p passive) read(r *reader, path string, n *node) {
	*p.into = Passive{}
	if n.kind == kindScalar {
		word := n.text
		switch word {
		case "off", "false":
			return
		case "on", "true":
		default:
			r.faults.add(n.at, path, "%q is neither on, off nor a section; write { failures: 5 }", word)
			return
		}
		n = &node{kind: kindMapping, at: n.at}
	}
	p.section().read(r, path, n)
}

func (p passive) section() section { return passiveKeys(p.into) }

func (p passive) schema() schema {
	return schema{"anyOf": []schema{{"enum": []any{"on", "off", true, false}}, p.section().schema(), variable()}}
}

func (p passive) describe() string { return "on, off or section" }

func (p passive) child(segment string, written *node) (key, bool) {
	return p.section().child(segment, written)
}

func (p passive) names(written *node) []string { return p.section().names(written) }

const (
	passiveItem        = `(connect|timeout|reset|[1-5][0-9][0-9](-[1-5][0-9][0-9])?)`
	passivePattern     = `^` + passiveItem + `$`
	passiveListPattern = `^` + passiveItem + `( *, *` + passiveItem + `)*$`
)

// passiveWords are the items of passive.on, as a list or in one text between commas.
type passiveWords struct{ list[string] }

func (w passiveWords) read(r *reader, path string, n *node) {
	if n.kind == kindScalar {
		n = untypedScalar(n.text, n.at)
	}
	before := len(r.faults.list)
	w.list.read(r, path, n)
	if len(*w.into) == 0 && len(r.faults.list) == before {
		r.faults.add(n.at, path, "nothing counts; write passive: off in the cluster where that is meant")
	}
}

func (w passiveWords) schema() schema {
	return schema{"anyOf": []schema{{"type": "array", "items": passiveWord(new(string)).schema()},
		{"type": "string", "pattern": passiveListPattern}, variable()}}
}

// passiveWord is one item of passive.on.
func passiveWord(into *string) value {
	const want = "connect, timeout, reset, or status codes such as 503 or 502-504"
	return scalar[string]{into: into, kind: want, want: want, accepts: []scalarType{textual, integer},
		form: schema{"anyOf": []schema{{"type": "string", "pattern": passivePattern}, {"type": "integer", "minimum": 100, "maximum": 599}}},
		parse: func(s string) (string, error) {
			words := []string{PassiveConnect, PassiveTimeout, PassiveReset}
			if slices.Contains(words, s) {
				return s, nil
			}
			if statusForm.MatchString(s) {
				_, err := parseStatusRanges(s)
				return s, err
			}
			return "", fmt.Errorf("%q is none of %s%s", s, want, didYouMean(s, words))
		}}
}
