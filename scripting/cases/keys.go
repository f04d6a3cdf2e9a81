package cases

import (
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"outrider/scripting"
)

// A key is one line of the language. Reading, hints and the JSON Schema all come
// from these.
type key struct {
	name     string
	required bool
	value    value
	doc      string // what it means
}

// A value is what may stand behind a key.
type value struct {
	read   func(*text, ast.Node) // tells a fault of what it can not take
	schema schema
}

func rowKeys(r *Row) []key {
	return []key{
		{name: "name", value: oneText(&r.Name), doc: "What the case is called. Default: the request."},
		{name: "request", required: true, value: oneText(&r.Sketch.Line),
			doc: "Method and path with query, such as GET /x?y=1; or an absolute URL, which says scheme and host."},
		{name: "headers", value: fields(&r.Sketch.Headers), doc: "Header fields of the request; a list for repeated ones."},
		{name: "host", value: oneText(&r.Sketch.Host), doc: "The host that the request is for. Default: localhost."},
		{name: "ip", value: oneText(&r.Sketch.IP), doc: "The client's address. Default: 127.0.0.1."},
		{name: "id", value: oneText(&r.Sketch.ID), doc: "The request's id. Default: test."},
		{name: "listener", value: oneText(&r.Sketch.Listener), doc: "The name of the listener it came in by. Default: main."},
		{name: "subject", value: oneText(&r.Sketch.Subject), doc: "The subject of the client's certificate, such as CN=web; the request has an https URL. Default: none."},
		{name: "down", value: down(r), doc: "Clusters and single backends, as cluster/host:port, that are not usable."},
		{name: "data", value: anything(&r.Data), doc: "ctx.data. Default: what script.data holds."},
		{name: "env", value: variables(&r.Env), doc: "ctx.env. Default: the variables named in script.env."},
		{name: "now", value: moment(&r.Now), doc: "ctx.now and the time of Date: as 2026-01-31T12:00:00Z, or in milliseconds since 1970. Default: the present."},
		{name: "seed", value: seed(&r.Seed), doc: "What Math.random begins with: a number from 1. Default: 1."},
		{name: "expect", required: true, value: expectation(&r.Expect), doc: "What is decided: a cluster, or a section."},
	}
}

func expectKeys(e *Expectation) []key {
	return []key{
		{name: "cluster", value: anyOf(&e.Cluster), doc: "Where the request goes: a cluster, or a list for any of them; null: to none."},
		{name: "rule", value: maybeText(&e.Rule), doc: "The rule that the script gave."},
		{name: "respond", value: answer(&e.Respond), doc: "The script's own answer: a status, or a section."},
		{name: "requestHeaders", value: edits(&e.RequestHeaders), doc: "What happens to headers of the request; null: removed."},
		{name: "responseHeaders", value: edits(&e.ResponseHeaders), doc: "What happens to headers of the response; null: removed."},
		{name: "path", value: maybeText(&e.Path), doc: "The path that is sent instead; empty: as received."},
		{name: "hashKey", value: maybeText(&e.HashKey), doc: "The key that picks the backend; empty: none."},
		{name: "timeout", value: span(&e.Timeout), doc: "The timeout of the request: as 2s, or in milliseconds; null: the cluster's."},
		{name: "outcome", value: outcome(&e.Outcome), doc: "How the decision came about. Without it a script that fails never passes."},
	}
}

func answerKeys(a *Answer) []key {
	return []key{
		{name: "status", value: status(&a.Status), doc: "200 to 599."},
		{name: "headers", value: edits(&a.Headers), doc: "Headers of the answer; null: not there."},
		{name: "body", value: maybeText(&a.Body), doc: "The whole body."},
	}
}

// section reads a mapping whose keys are known.
func (t *text) section(what string, m *ast.MappingNode, keys []key) {
	var written []string
	for _, pair := range m.Values {
		name, ok := t.key(pair)
		if !ok {
			continue
		}
		written = append(written, name)
		i := slices.IndexFunc(keys, func(k key) bool { return k.name == name })
		if i < 0 {
			t.add(pair.Key, "%s has no key %q%s", what, name, hint(name, keys))
			continue
		}
		keys[i].value.read(t, pair.Value)
	}
	for _, k := range keys {
		if k.required && !slices.Contains(written, k.name) {
			t.add(m, "%s needs the key %s", what, k.name)
		}
	}
}

// hint is the key that was meant, else all of them.
func hint(name string, keys []key) string {
	var names []string
	for _, k := range keys {
		names = append(names, k.name)
	}
	if near := scripting.DidYouMean(name, names); near != "" {
		return near
	}
	for _, k := range expectKeys(new(Expectation)) {
		if k.name == name {
			return fmt.Sprintf("; %s stands under expect", name)
		}
	}
	return "; it has " + strings.Join(names, ", ")
}
