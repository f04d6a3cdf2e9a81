package cases_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"outrider/scripting/cases"
)

func read(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestAppendingLeavesWhatIsThereAndAddsTheCase(t *testing.T) {
	row := cases.Row{
		Name:   "seen: at noon",
		Sketch: cases.Sketch{Line: "GET /x?a=1", Headers: []cases.Header{{Name: "X-Beta", Value: "1"}, {Name: "Accept", Value: "a"}, {Name: "Accept", Value: "b"}}, IP: "192.0.2.7"},
		Down:   []string{"canary", "one/10.0.0.7:80"},
		Now:    time.UnixMilli(1769860800000),
		Seed:   7,
		Expect: cases.Expectation{Cluster: []string{""}, Rule: new("beta"), Respond: &cases.Answer{Status: 503, Headers: []cases.Edit{{Name: "X-A", Values: []string{"b"}}}, Body: new("no\n")}},
	}
	const block = `- name: "seen: at noon"
  request: GET /x?a=1
  headers:
    X-Beta: "1"
    Accept: [a, b]
  ip: "192.0.2.7"
  down: [canary, "one/10.0.0.7:80"]
  now: 2026-01-31T12:00:00Z
  seed: 7
  expect:
    cluster: null
    rule: beta
    respond:
      status: 503
      headers:
        X-A: b
      body: "no\n"
`
	indented := "  " + strings.TrimSuffix(strings.ReplaceAll(block, "\n", "\n  "), "  ")
	for name, c := range map[string]struct{ before, added string }{
		"no file":    {"", block},
		"a comment":  {"# cases\n", block},
		"a table":    {"# first\n- { request: GET /, expect: one } # why\n\n# last\n", block},
		"no newline": {"- { request: GET /, expect: one }", "\n" + block},
		"an indent":  {"  - request: GET /\n    expect: one\n", indented},
		"of Windows": {"- { request: GET /, expect: one }\r\n", strings.ReplaceAll(block, "\n", "\r\n")},
	} {
		file := filepath.Join(t.TempDir(), "route.test.yaml")
		if c.before != "" {
			if err := os.WriteFile(file, []byte(c.before), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := cases.Append(file, row); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := read(t, file); got != c.before+c.added {
			t.Errorf("%s:\n%s", name, got)
		}
	}
}

func TestACaseIsNotAddedWhereItWouldNotReadBack(t *testing.T) {
	row := cases.Row{Sketch: cases.Sketch{Line: "GET /"}, Expect: cases.Expectation{Cluster: []string{"one"}}}
	for before, says := range map[string]string{
		"[{ request: GET /, expect: one }]":        "the table is in brackets",
		"- { requst: GET / }\n":                    "without faults only",
		"a: b\n":                                   "a table is a list of cases",
		"- { request: GET /, expect: one }\n---\n": "",
	} {
		file := write(t, "route.test.yaml", before)
		if err := cases.Append(file, row); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", before, err)
		}
		if got := read(t, file); got != before {
			t.Errorf("%q became %q", before, got)
		}
	}
	if err := cases.Append(filepath.Join(t.TempDir(), "a.yaml"), cases.Row{}); err == nil {
		t.Error("a case without a request was added")
	}
}

// Whatever a request holds, the row reads back as it was written.
func TestEveryRowReadsBackAsItWasWritten(t *testing.T) {
	anyText := rapid.StringOf(rapid.RuneFrom([]rune("aZ09 :,'\"#-[]{}&*!|>%@`\\/?.=~\t\u00e9\u2028\u007f\U0001f600yesnull")))
	value := rapid.Custom(func(t *rapid.T) string {
		return strings.Map(func(r rune) rune {
			if r == 0x7f {
				return -1
			}
			return r
		}, anyText.Draw(t, "value"))
	})
	token := rapid.StringMatching(`[A-Za-z!#$%&'*+.^_|~-]{1,8}`)
	edits := rapid.Custom(func(t *rapid.T) []cases.Edit {
		var all []cases.Edit
		for i, name := range rapid.SliceOfNDistinct(token, 0, 3, strings.ToLower).Draw(t, "names") {
			e := cases.Edit{Name: name}
			if i > 0 {
				e.Values = rapid.SliceOfN(value, 1, 2).Draw(t, "values")
			}
			all = append(all, e)
		}
		return all
	})
	file := filepath.Join(t.TempDir(), "route.test.yaml")
	rapid.Check(t, func(rt *rapid.T) {
		_ = os.Remove(file)
		row := cases.Row{
			Name: anyText.Draw(rt, "name"),
			Sketch: cases.Sketch{
				Line: rapid.StringMatching(`[A-Z]{1,5} /[!-"$-~]{0,12}`).Draw(rt, "line"),
				Host: rapid.StringMatching(`([a-z]{1,5}(:[0-9]{1,4})?)?`).Draw(rt, "host"), ID: value.Draw(rt, "id"),
			},
			Seed: rapid.Uint64().Draw(rt, "seed"), Down: rapid.SliceOfN(value, 0, 2).Draw(rt, "down"),
		}
		if len(row.Down) == 0 {
			row.Down = nil
		}
		for _, e := range edits.Draw(rt, "headers") {
			for _, v := range e.Values {
				row.Sketch.Headers = append(row.Sketch.Headers, cases.Header{Name: e.Name, Value: v})
			}
		}
		if rapid.Bool().Draw(rt, "has time") {
			row.Now = time.UnixMilli(rapid.Int64Range(0, 4e12).Draw(rt, "now"))
		}
		row.Expect = cases.Expectation{Cluster: []string{value.Draw(rt, "cluster")}}
		if rapid.Bool().Draw(rt, "answer") {
			row.Expect.Rule = new(anyText.Draw(rt, "rule"))
			row.Expect.Respond = &cases.Answer{Status: rapid.IntRange(200, 599).Draw(rt, "status"), Headers: edits.Draw(rt, "response"), Body: new(anyText.Draw(rt, "body"))}
		}
		if rapid.Bool().Draw(rt, "forwarded") {
			row.Data = rapid.SampledFrom([]json.RawMessage{nil, json.RawMessage(`{"a":[1,"x: y",null]}`), json.RawMessage(`null`), json.RawMessage(`"text"`)}).Draw(rt, "data")
			row.Env = rapid.MapOfN(rapid.StringMatching(`[A-Z_]{1,5}`), anyText, 0, 3).Draw(rt, "env")
			row.Expect.RequestHeaders, row.Expect.ResponseHeaders = edits.Draw(rt, "to request"), edits.Draw(rt, "to response")
			row.Expect.Path, row.Expect.HashKey = new(anyText.Draw(rt, "path")), new(anyText.Draw(rt, "key"))
			row.Expect.Timeout = new(time.Duration(rapid.Int64Range(0, 1e12).Draw(rt, "timeout")))
		}
		if err := cases.Append(file, row); err != nil {
			rt.Fatal(err)
		}
		rows, err := cases.ReadTable("t.yaml", []byte(read(t, file)))
		if err != nil || len(rows) != 1 {
			rt.Fatal(err)
		}
		if !reflect.DeepEqual(rows[0].Sketch, row.Sketch) || !reflect.DeepEqual(rows[0].Expect, row.Expect) || !reflect.DeepEqual(rows[0].Env, row.Env) || string(rows[0].Data) != string(row.Data) || !rows[0].Now.Equal(row.Now) {
			rt.Errorf("%+v\nis %+v\n%s", row, rows[0], read(t, file))
		}
	})
}
