package cases

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"outrider/scripting"
)

// text reads a single value; numbers and the like are taken as they are written.
func (t *text) text(n ast.Node) (string, bool) {
	s, ok := scalar(n)
	if !ok {
		t.add(n, "a text belongs here, not %s", kindOf(n))
	}
	return s, ok
}

func oneText(into *string) value {
	return value{schema: textSchema(), read: func(t *text, n ast.Node) { *into, _ = t.text(n) }}
}

// maybeText can also be null, which is the empty text.
func maybeText(into **string) value {
	return value{schema: orNull(textSchema()), read: func(t *text, n ast.Node) {
		*into = new(string)
		if !isNull(n) {
			**into, _ = t.text(n)
		}
	}}
}

// items are the nodes of a list; anything else is a list of one.
func items(n ast.Node) []ast.Node {
	if list, ok := n.(*ast.SequenceNode); ok {
		return list.Values
	}
	return []ast.Node{n}
}

// pairs calls take with each name and value of a section.
func (t *text) pairs(n ast.Node, take func(name string, pair *ast.MappingValueNode)) {
	m, ok := n.(*ast.MappingNode)
	if !ok {
		t.add(n, "a section belongs here, name: value, not %s", kindOf(n))
		return
	}
	for _, pair := range m.Values {
		if name, ok := t.key(pair); ok {
			take(name, pair)
		}
	}
}

// fields are those of a request, in order.
func fields(into *[]Header) value {
	return value{schema: mapOf(orList(textSchema())), read: func(t *text, n ast.Node) {
		t.pairs(n, func(name string, pair *ast.MappingValueNode) {
			for _, item := range items(pair.Value) {
				if s, ok := t.text(item); ok {
					t.field(pair.Key, Header{name, s})
					*into = append(*into, Header{name, s})
				}
			}
		})
	}}
}

func (t *text) field(n ast.Node, f Header) {
	if err := checkField(f); err != nil {
		t.add(n, "%v", err)
	}
}

// edits are what is to happen to headers.
func edits(into *[]Edit) value {
	return value{schema: mapOf(orNull(orList(textSchema()))), read: func(t *text, n ast.Node) {
		t.pairs(n, func(name string, pair *ast.MappingValueNode) {
			edit := Edit{Name: name}
			if !isNull(pair.Value) {
				edit.Values = []string{}
				for _, item := range items(pair.Value) {
					s, _ := t.text(item)
					edit.Values = append(edit.Values, s)
				}
			}
			t.field(pair.Key, Header{Name: name})
			*into = append(*into, edit)
		})
	}}
}

func down(r *Row) value {
	return value{schema: orList(textSchema()), read: func(t *text, n ast.Node) {
		for _, item := range items(n) {
			s, _ := t.text(item)
			r.Down = append(r.Down, s)
			r.downAt = append(r.downAt, item)
		}
	}}
}

func anything(into *json.RawMessage) value {
	return value{schema: schema{}, read: func(t *text, n ast.Node) {
		var b bytes.Buffer
		if t.appendJSON(&b, n) {
			*into = b.Bytes()
		}
	}}
}

func variables(into *map[string]string) value {
	return value{schema: mapOf(textSchema()), read: func(t *text, n ast.Node) {
		*into = make(map[string]string)
		t.pairs(n, func(name string, pair *ast.MappingValueNode) {
			(*into)[name], _ = t.text(pair.Value)
		})
	}}
}

func moment(into *time.Time) value {
	return value{schema: schema{"type": []string{"string", "integer"}}, read: func(t *text, n ast.Node) {
		s, ok := t.text(n)
		if !ok {
			return
		}
		if ms, err := strconv.ParseInt(s, 10, 64); err == nil {
			*into = time.UnixMilli(ms)
			return
		}
		at, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.add(n, "%q is no time; write one such as 2026-01-31T12:00:00Z, or milliseconds since 1970", s)
		}
		*into = at
	}}
}

func seed(into *uint64) value {
	return value{schema: schema{"type": "integer", "minimum": 1}, read: func(t *text, n ast.Node) {
		s, ok := t.text(n)
		if !ok {
			return
		}
		number, err := strconv.ParseUint(s, 10, 64)
		if err != nil || number == 0 {
			t.add(n, "%q is no seed; write a whole number from 1", s)
		}
		*into = number
	}}
}

func anyOf(into *[]string) value {
	return value{schema: orNull(orList(textSchema())), read: func(t *text, n ast.Node) {
		if isNull(n) {
			*into = []string{""}
			return
		}
		for _, item := range items(n) {
			s, _ := t.text(item)
			*into = append(*into, s)
		}
		if len(*into) == 0 {
			t.add(n, "the list is empty; name the clusters that are fine")
		}
	}}
}

func span(into **time.Duration) value {
	return value{schema: schema{"type": []string{"string", "integer", "null"}}, read: func(t *text, n ast.Node) {
		if isNull(n) {
			*into = new(time.Duration)
			return
		}
		s, ok := t.text(n)
		if !ok {
			return
		}
		d, err := time.ParseDuration(s)
		if ms, intErr := strconv.Atoi(s); intErr == nil {
			d, err = time.Duration(ms)*time.Millisecond, nil
		}
		if err != nil {
			t.add(n, "%q is no duration; write one such as 2s, or milliseconds", s)
		}
		*into = &d
	}}
}

// outcomes are all words for how a decision came about.
func outcomes() []string {
	var names []string
	for o := scripting.Outcome(0); o.String() != "invalid"; o++ {
		names = append(names, o.String())
	}
	return names
}

func outcome(into *string) value {
	return value{schema: schema{"enum": outcomes()}, read: func(t *text, n ast.Node) {
		s, ok := t.text(n)
		if !ok {
			return
		}
		*into = s
		if slices.Contains(outcomes(), s) {
			return
		}
		t.add(n, "there is no outcome %q%s; they are %s", s, scripting.DidYouMean(s, outcomes()), strings.Join(outcomes(), ", "))
	}}
}

func status(into *int) value {
	return value{schema: schema{"type": "integer", "minimum": 200, "maximum": 599}, read: func(t *text, n ast.Node) {
		s, ok := t.text(n)
		if !ok {
			return
		}
		code, err := strconv.Atoi(s)
		if err != nil || code < 200 || code > 599 {
			t.add(n, "%q is no status; an answer has one from 200 to 599", s)
		}
		*into = code
	}}
}

// answer is a status, or a section.
func answer(into **Answer) value {
	a := new(Answer)
	return value{
		schema: schema{"anyOf": []schema{status(&a.Status).schema, sectionSchema(answerKeys(a))}},
		read: func(t *text, n ast.Node) {
			*into = a
			if m, ok := n.(*ast.MappingNode); ok {
				t.section("respond", m, answerKeys(a))
				return
			}
			status(&a.Status).read(t, n)
		},
	}
}

// expectation is a cluster, or a section that expects something.
func expectation(into *Expectation) value {
	return value{
		schema: schema{"anyOf": []schema{textSchema(), sectionSchema(expectKeys(into))}},
		read: func(t *text, n ast.Node) {
			if name, ok := scalar(n); ok {
				into.Cluster = []string{name}
				return
			}
			m, ok := n.(*ast.MappingNode)
			if !ok || len(m.Values) == 0 {
				t.add(n, "a cluster belongs here, or a section such as { respond: 404 }, not %s", kindOf(n))
				return
			}
			t.section("expect", m, expectKeys(into))
		},
	}
}
