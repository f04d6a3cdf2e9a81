package config

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/jsonschema-go/jsonschema"

	"outrider/sidecar/credential"
)

var update = flag.Bool("update", false, "write REFERENCE.md anew")

// walk visits every key of the table with its path; lists and named sections show one element.
func walk(s section, path string, visit func(path string, k key)) {
	for _, k := range s.keys {
		if k.variable {
			continue
		}
		at := join(path, k.name)
		visit(at, k)
		if inner, below, ok := inside(k.value); ok {
			walk(inner, at+below, visit)
		}
	}
}

// inside is the section within a value, and how its path goes on.
func inside(v value) (section, string, bool) {
	switch v := v.(type) {
	case section:
		return v, "", true
	case passive:
		return v.section(), "", true
	case encryption:
		return v.section(), "", true
	case gossip:
		return v.section(), "", true
	case clusters:
		return cluster(new(Cluster)), ".<name>", true
	case listeners:
		return listenerKeys(new(Listener)), "[]", true
	case termination:
		return v.section(), "", true
	case list[credential.Pair]:
		return pairKeys(new(credential.Pair)), "[]", true
	case list[Backend]:
		return backend{into: new(Backend)}.section(), "[]", true
	}
	return section{}, "", false
}

func tablePaths() []string {
	var paths []string
	walk(root(new(Config)), "", func(path string, _ key) { paths = append(paths, path) })
	return paths
}

func TestEveryKeyHasADescription(t *testing.T) {
	walk(root(new(Config)), "", func(path string, k key) {
		if !strings.HasSuffix(k.doc, ".") {
			t.Errorf("%s: %q is not a sentence", path, k.doc)
		}
	})
}

func compiled(t testing.TB) *jsonschema.Resolved {
	t.Helper()
	var s jsonschema.Schema
	if err := json.Unmarshal(Schema(), &s); err != nil {
		t.Fatal(err)
	}
	resolved, err := s.Resolve(&jsonschema.ResolveOptions{ValidateDefaults: true})
	if err != nil {
		t.Fatal(err)
	}
	return resolved
}

func TestSchemaHoldsTheKeysOfTheTable(t *testing.T) {
	compiled(t)
	var s map[string]any
	if err := json.Unmarshal(Schema(), &s); err != nil {
		t.Fatal(err)
	}
	var paths []string
	schemaPaths(s, "", &paths)
	want := tablePaths()
	slices.Sort(want)
	slices.Sort(paths)
	if !slices.Equal(paths, want) {
		t.Errorf("schema and table differ:\nschema %v\ntable  %v", paths, want)
	}
}

// schemaPaths collects the properties of a schema in the form of walk.
func schemaPaths(s map[string]any, path string, out *[]string) {
	if properties, ok := s["properties"].(map[string]any); ok {
		for name, sub := range properties {
			*out = append(*out, join(path, name))
			schemaPaths(sub.(map[string]any), join(path, name), out)
		}
	}
	if items, ok := s["items"].(map[string]any); ok {
		schemaPaths(items, path+"[]", out)
	}
	if more, ok := s["additionalProperties"].(map[string]any); ok {
		schemaPaths(more, path+".<name>", out)
	}
	if alternatives, ok := s["anyOf"].([]any); ok {
		for _, sub := range alternatives {
			schemaPaths(sub.(map[string]any), path, out)
		}
	}
}

var commentedOut = regexp.MustCompile(`(?m)^( *)#(\S|  )`)

// uncommented is the example with its commented keys, in place of what they would repeat.
func uncommented() string {
	s := commentedOut.ReplaceAllString(example, "$1$2")
	s = strings.Replace(s, "listen: \":6188\"                     # requests come in here; or a list:\n", "", 1)
	return regexp.MustCompile(`(?m)^#.*\n`).ReplaceAllString(s, "")
}

func TestExampleIsValidAndShowsTheDefaults(t *testing.T) {
	c, err := loadText(example)
	c = valid(t, c, err)
	bare, err := loadText(`
clusters:
  one: { backends: ["127.0.0.1:8001", { address: "127.0.0.1:8002", weight: 2 }] }
  two: { backends: ["127.0.0.1:8003", "127.0.0.1:8004"], check: { type: http } }
`)
	bare = valid(t, bare, err)
	c.TrustedProxies, c.Admin.Hosts = nil, nil // [] and nothing are the same
	if got, want := fmt.Sprintf("%+v", c), fmt.Sprintf("%+v", bare); got != want {
		t.Errorf("the example changes a default:\n%s\n%s", got, want)
	}
}

func TestExampleHoldsEveryKeyOfTheTable(t *testing.T) {
	text := uncommented()
	var document any
	if err := yaml.Unmarshal([]byte(text), &document); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	found := map[string]bool{}
	documentPaths(document, "", found)
	for _, path := range tablePaths() {
		if !found[path] {
			t.Errorf("%s is missing in the example", path)
		}
	}
	if err := compiled(t).Validate(document); err != nil {
		t.Error(err)
	}
	shop := newPair(t, "shop", time.Now().Add(time.Hour))
	d := disk{files: fstest.MapFS{"outrider.yaml": {Data: []byte(text)}, "scripts/route.js": {Data: []byte("function route() {}")}, "scripts/route.test.yaml": {}, "scripts/data.json": {}, "secrets/gossip": {Data: []byte(someKey)},
		"tls/shop.crt": {Data: shop.cert}, "tls/shop.key": {Data: shop.key}, "tls/clients.crt": {Data: shop.cert}, "tls/own.crt": {Data: shop.cert}, "tls/own.key": {Data: shop.key}}}
	c, err := Load(Source{Files: d.access()})
	valid(t, c, err)
}

// documentPaths notes the keys of a document in the form of walk.
func documentPaths(v any, path string, found map[string]bool) {
	switch v := v.(type) {
	case map[string]any:
		for k, sub := range v {
			at := join(path, k)
			if path == "clusters" {
				at = "clusters.<name>"
			}
			found[at] = true
			documentPaths(sub, at, found)
		}
	case []any:
		for _, sub := range v {
			documentPaths(sub, path+"[]", found)
		}
	}
}

func TestReferenceIsUpToDate(t *testing.T) {
	const file = "REFERENCE.md"
	want := reference()
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil || string(got) != want {
		t.Errorf("%s is out of date (%v); run go test ./sidecar/config -run Reference -update", file, err)
	}
}

// reference is REFERENCE.md.
func reference() string {
	var b strings.Builder
	b.WriteString(referenceHead)
	referenceSection(&b, root(new(Config)), "")
	b.WriteString(referenceTail)
	return b.String()
}

func referenceSection(b *strings.Builder, s section, path string) {
	if path != "" {
		fmt.Fprintf(b, "\n## %s\n", path)
	}
	b.WriteString("\n| key | type | default | meaning |\n|---|---|---|---|\n")
	var below []string
	sections := map[string]section{}
	for _, k := range s.keys {
		if k.variable {
			continue
		}
		def := ""
		if k.def != "" {
			def = "`" + k.def + "`"
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", k.name, k.value.describe(), def, k.doc)
		if inner, suffix, ok := inside(k.value); ok {
			at := join(path, k.name) + suffix
			below, sections[at] = append(below, at), inner
		}
	}
	for _, at := range below {
		referenceSection(b, sections[at], at)
	}
}

const referenceHead = `# outrider.yaml: every key

Made from the table in ` + "`keys.go`" + `; ` + "`go test ./sidecar/config -run Reference -update`" + ` writes it anew.
[example.yaml](example.yaml) is a complete file, ` + "`outrider schema`" + ` prints the JSON Schema for editors.

A flag wins over an environment variable, that over the file, that over the default.
The file is the one after ` + "`-c`" + `, else in ` + "`OUTRIDER_CONFIG`" + `, else ` + "`./outrider.yaml`" + `, else ` + "`/etc/outrider/outrider.yaml`" + `.
Unknown keys are faults. All faults are reported at once.
`

const referenceTail = `
## Values

- Durations have units: ` + "`500ms`, `2s`, `1m30s`" + `. Sizes: ` + "`512B`, `64KiB`, `1MiB`" + `. Percentages: ` + "`10%`" + `.
- ` + "`${NAME}` and `${NAME:-default}`" + ` stand for environment variables in any value, ` + "`$$`" + ` for a dollar. Inside ` + "`{ }` and `[ ]`" + ` put quotes around them.
- Relative paths are relative to the file; in variables and flags, to the working directory.

## Environment

| variable | sets |
|---|---|
| ` + "`OUTRIDER_CONFIG`" + ` | the path of the file, or the YAML itself when it holds a newline or ` + "`: `" + ` |
| ` + "`OUTRIDER_CLUSTER_ONE`" + ` | ` + "`clusters.one.backends`" + `, separated by commas; one URL with a name also sets ` + "`host`" + ` and, for https, ` + "`tls.server_name`" + ` |
| ` + "`OUTRIDER_SCRIPT`" + ` | ` + "`script.file`" + ` |
| ` + "`OUTRIDER_GOSSIP__SECRET`" + ` | the keys of gossip themselves, separated by commas or on lines of their own, in place of ` + "`gossip.secret_file`" + `; the file cannot hold them |
| ` + "`OUTRIDER_A__B_C`" + ` | ` + "`a.b_c`" + `: two underscores go one level down; ` + "`_` also matches `-`" + ` |

Lists are separated by commas; a list or a section may also be YAML in brackets: ` + "`OUTRIDER_LIMITS='{ fields: 64 }'`" + `.
Any other variable that begins with ` + "`OUTRIDER_`" + ` is a fault; those that Kubernetes sets for a service called outrider are ignored and named once.
`
