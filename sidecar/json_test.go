package main

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"outrider/scripting/cases"
	"outrider/sidecar/admin"
)

var update = flag.Bool("update", false, "write sidecar/JSON.md anew")

// JSON.md is made from the types. A key that programs may have come to read stays:
// writing the page anew does not help who takes one away.
func TestTheKeysOfJSONAreDocumentedAndOnlyEverAdded(t *testing.T) {
	const page = "JSON.md"
	before, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	now := jsonPage(t)
	for line := range strings.Lines(string(before)) {
		if key, isKey := keyIn(line); isKey && !slices.ContainsFunc(strings.Split(now, "\n"), func(l string) bool { k, _ := keyIn(l); return k == key }) {
			t.Errorf("%s has gone, or is of another type: programs read it; keys are only ever added", key)
		}
	}
	if t.Failed() || now == string(before) {
		return
	}
	if !*update {
		t.Fatalf("%s is not up to date: go test ./sidecar -run JSON -update", page)
	}
	if err := os.WriteFile(page, []byte(now), 0o600); err != nil {
		t.Fatal(err)
	}
}

// keyIn is the verb, the key and the type in a line of the page.
func keyIn(line string) (key string, ok bool) {
	cells := strings.SplitN(line, " | ", 4)
	return strings.Join(cells[:min(3, len(cells))], " | "), strings.HasPrefix(line, "| `")
}

func jsonPage(t *testing.T) string {
	t.Helper()
	fields := &keys{meaning: meanings(t, "admin", ".", filepath.Join("..", "scripting", "cases"))}
	fields.WriteString(`# What --json prints

For programs: one JSON object on standard output. That of ` + "`status`, `health`, `peers` and `explain`" + ` is what the admin listener answers
([its API](admin/doc.go)). **Keys are only ever added**, and keep their type. Times are RFC 3339. An empty list is ` + "`[]`" + `, unless it may be left out.

Made from the types; ` + "`go test ./sidecar -run JSON -update`" + ` writes it anew.

| verb | key | type | meaning |
|---|---|---|---|
`)
	for _, of := range []struct {
		verb string
		what any
	}{
		{"status", admin.Status{}}, {"health", admin.HealthStatus{}}, {"peers", admin.PeersStatus{}}, {"explain", admin.Explanation{}},
		{"replay", movesReport{}}, {"test", cases.Report{}},
	} {
		fields.add(of.verb, "", reflect.TypeOf(of.what))
	}
	return fields.String()
}

// keys are the lines of the page.
type keys struct {
	strings.Builder

	meaning map[string]string // of "package.Type.Field"
}

func (k *keys) add(verb, prefix string, of reflect.Type) {
	for field := range of.Fields() {
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "-" {
			continue
		}
		if field.Anonymous {
			k.add(verb, prefix, field.Type)
			continue
		}
		kind, inner, suffix := describe(field.Type)
		meaning := k.meaning[of.String()+"."+field.Name]
		if options != "" {
			kind = strings.TrimSuffix(kind, " or null")
			meaning = strings.TrimLeft(meaning+"; may be left out", "; ")
		}
		fmt.Fprintf(k, "| `%s` | `%s` | %s | %s |\n", verb, prefix+name, kind, strings.ReplaceAll(meaning, "|", `\|`))
		if inner != nil {
			k.add(verb, prefix+name+suffix+".", inner)
		}
	}
}

// describe says what a type is in JSON, and which struct is within it.
func describe(t reflect.Type) (kind string, inner reflect.Type, suffix string) {
	switch t {
	case reflect.TypeFor[time.Time]():
		return "time", nil, ""
	case reflect.TypeFor[admin.Seconds]():
		return "seconds", nil, ""
	case reflect.TypeFor[time.Duration]():
		return "nanoseconds", nil, ""
	}
	switch t.Kind() {
	case reflect.Pointer:
		kind, inner, suffix = describe(t.Elem())
		return kind + " or null", inner, suffix
	case reflect.Struct:
		return "object", t, ""
	case reflect.Slice, reflect.Array:
		kind, inner, suffix = describe(t.Elem())
		return "list of " + kind, inner, "[]" + suffix
	case reflect.Map:
		kind, inner, suffix = describe(t.Elem())
		return "object of " + kind, inner, ".*" + suffix
	case reflect.Bool:
		return "true or false", nil, ""
	case reflect.String:
		return "text", nil, ""
	default:
		return "number", nil, ""
	}
}

// meanings are the comments beside the fields of all types in these folders, by
// "package.Type.Field".
func meanings(t *testing.T, folders ...string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for _, folder := range folders {
		files, err := filepath.Glob(filepath.Join(folder, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(parsed, func(n ast.Node) bool {
				if declared, ok := n.(*ast.TypeSpec); ok {
					collect(all, parsed.Name.Name, declared)
				}
				return true
			})
		}
	}
	return all
}

func collect(all map[string]string, in string, declared *ast.TypeSpec) {
	body, ok := declared.Type.(*ast.StructType)
	if !ok {
		return
	}
	for _, field := range body.Fields.List {
		for _, name := range field.Names {
			all[in+"."+declared.Name.Name+"."+name.Name] = strings.Join(strings.Fields(field.Comment.Text()), " ")
		}
	}
}
