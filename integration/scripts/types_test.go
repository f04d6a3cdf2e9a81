package scripts

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// folder holds the scripts that come with Outrider, and their types.
const folder = "../../scripts"

// check runs the TypeScript compiler over files, as an editor would with the
// jsconfig.json that `outrider init` writes, and returns what it complains of.
func check(t *testing.T, files ...string) string {
	t.Helper()
	command := exec.Command("tsc", append([]string{
		"--noEmit", "--allowJs", "--checkJs", "--strict", "--noImplicitAny", "false", "--strictNullChecks", "false",
		"--target", "es2020", "--module", "es2020", "--moduleResolution", "node", "--resolveJsonModule", "--lib", "es2020",
	}, files...)...)
	command.Dir = folder
	out, err := command.CombinedOutput()
	if err != nil && len(out) == 0 {
		t.Fatalf("the TypeScript compiler does not run: %v (Debian: node-typescript)", err)
	}
	return strings.TrimSpace(string(out))
}

func TestTheTypesFitEveryScriptOfOurs(t *testing.T) {
	plain := []string{"default.js"} // these share their globals: one by one
	modules := []string{"outrider.d.ts"}
	for _, pattern := range []string{"examples/*.js", "examples/*.ts", "examples/*/*.ts"} {
		found, err := fs.Glob(os.DirFS(folder), pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range found {
			text, err := os.ReadFile(filepath.Join(folder, file))
			switch {
			case err != nil:
				t.Fatal(err)
			case strings.Contains(file, ".test."):
			case strings.Contains(string(text), "export "):
				modules = append(modules, file)
			default:
				plain = append(plain, file)
			}
		}
	}
	if faults := check(t, modules...); faults != "" {
		t.Errorf("%s", faults)
	}
	for _, file := range plain {
		if faults := check(t, "outrider.d.ts", file); faults != "" {
			t.Errorf("%s:\n%s", file, faults)
		}
	}
}

func TestTheTypesFindWhatScriptsGetWrong(t *testing.T) {
	rows := []struct{ body, says string }{
		{"return req.pathh;", "Property 'pathh' does not exist on type 'Request'. Did you mean 'path'?"},
		{"return req.headers.get('a') ? 3 : 'one';", "is not assignable to parameter of type 'Route'"},
		{"return { cluster: 'one', requestHeaders: { a: 3 } };", "is not assignable to parameter of type 'Route'"},
		{"return { respond: { body: 'x' } };", "is not assignable to parameter of type 'Route'"},
		{"req.path = '/'; return 'one';", "Cannot assign to 'path' because it is a read-only property"},
		{"return ctx.clusters.one.healty > 0 ? 'one' : 'two';", "Did you mean 'healthy'?"},
		{"cookie('a', 'b', { maxage: 1 }); return 'one';", "maxage"},
		{"fetch('x'); return 'one';", "Cannot find name 'fetch'"},
		{"return new PrefixMap({ '/': 'one' }).get(req.path).foo;", "Property 'foo' does not exist on type 'string'"},
	}
	dir := t.TempDir()
	files := []string{"outrider.d.ts"}
	for i, row := range rows {
		file := filepath.Join(dir, fmt.Sprintf("wrong-%d.js", i))
		if err := os.WriteFile(file, []byte("export default defineRoute((req, ctx) => {\n "+row.body+"\n});\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	complaints := check(t, files...)
	for i, row := range rows {
		found := false
		for line := range strings.Lines(complaints) {
			found = found || strings.Contains(line, fmt.Sprintf("wrong-%d.js(", i)) && strings.Contains(line, row.says)
		}
		if !found {
			t.Errorf("%s: the compiler does not say %q:\n%s", row.body, row.says, complaints)
		}
	}
}
