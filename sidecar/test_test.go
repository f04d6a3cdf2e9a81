package main

import (
	"bufio"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Every change of script, tests or configuration is tested, whether it is right or
// broken, and however it is saved.
func TestWatchingTestsAgainAtEveryChange(t *testing.T) {
	folder := t.TempDir()
	save := func(name, content string) {
		t.Helper()
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path+"~", []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+"~", path); err != nil { // as editors do
			t.Fatal(err)
		}
	}
	const config = "clusters: { one: { backends: [\"a:1\"] }, two: { backends: [\"b:1\"] } }\nscript: { file: route.js }\n"
	save("outrider.yaml", config)
	save("route.js", "function route() { return 'one'; }")
	save("route.test.yaml", "- { request: GET /, expect: one }\n")

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	in, out := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		run := testRun{from: source{file: filepath.Join(folder, "outrider.yaml")}}
		ended <- run.again(ctx, out)
		_ = out.Close()
	}()
	told := make(chan string)
	go func() {
		defer close(told)
		var all strings.Builder
		for lines := bufio.NewScanner(in); lines.Scan(); {
			if all.WriteString(lines.Text() + "\n"); lines.Text() == "waiting for a change" {
				told <- all.String()
				all.Reset()
			}
		}
	}()
	expect := func(says string) {
		t.Helper()
		select {
		case text := <-told:
			if !strings.Contains(text, says) {
				t.Errorf("%q is not in:\n%s", says, text)
			}
		case <-time.After(patience):
			t.Fatalf("not told in time: %s", says)
		}
	}
	expect("1 test passed")
	save("route.js", "function route() { return 'two'; }")
	expect("got      two")
	save("route.js", "function route() { return 'two")
	expect("route.js:1:27: SyntaxError")
	save("route.js", "function route() { return 'two'; }")
	expect("1 of 1 test failed")
	save("route.test.js", "test('x', () => expect(route(request('GET /'))).toBe('two'));")
	expect("1 of 2 tests failed")
	save("route.test.yaml", "- { request: GET /, expect: two }\n")
	expect("2 tests passed")
	save("one.ts", "export const one: string = 'one';")
	save("route.js", "import { one } from './one'; export default () => one;")
	expect("2 of 2 tests failed")
	save("one.ts", "export const one = 'two';")
	expect("2 tests passed")
	save("outrider.yaml", "clusters: [")
	expect("the configuration is not usable")
	save("outrider.yaml", config)
	expect("2 tests passed")
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, more := <-told; more {
		t.Error("it has tested without a change")
	}
}
