package main

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// allowed are all arrows between the packages of this module, and those to the
// libraries that one package alone may know. A new arrow is a change of the
// design: change it here first, and say why in the commit.
func allowed() map[string][]string {
	return map[string][]string{
		"outrider/sidecar": {"outrider/sidecar/app", "outrider/sidecar/admin", "outrider/sidecar/attach", "outrider/sidecar/config", "outrider/sidecar/doctor", "outrider/sidecar/trace", "outrider/sidecar/watch",
			"outrider/sidecar/demo", "outrider/scripts", "outrider/scripting", "outrider/scripting/cases", "outrider/scripting/record"},
		"outrider/sidecar/app": {"outrider/sidecar/admin", "outrider/sidecar/cause", "outrider/sidecar/cluster", "outrider/sidecar/config", "outrider/sidecar/credential",
			"outrider/sidecar/health", "outrider/sidecar/proxy", "outrider/sidecar/proxyproto", "outrider/sidecar/stream", "outrider/sidecar/telemetry", "outrider/sidecar/trace", "outrider/sidecar/warning",
			"outrider/sidecar/rollout", "outrider/scripting", "outrider/scripting/cases", "outrider/scripting/record",
			"outrider/gossip"}, // joins it with health, which do not know each other
		"outrider/sidecar/rollout":  {"outrider/scripting", "outrider/scripting/bundle", "outrider/scripting/cases", "outrider/scripting/record", "outrider/sidecar/mount", "outrider/sidecar/watch"}, // a version has to meet its cases
		"outrider/scripting/record": {"outrider/scripting"},
		"outrider/scripting/bundle": {"outrider/scripting", "github.com/evanw/esbuild"},
		"outrider/sidecar/demo":     {"outrider/sidecar/app", "outrider/sidecar/config", "outrider/sidecar/proxy"},
		"outrider/sidecar/proxy": {"outrider/sidecar/cause", "outrider/sidecar/cluster", "outrider/sidecar/http1", "outrider/sidecar/http2",
			"outrider/sidecar/proxyproto", "outrider/sidecar/stream", "outrider/sidecar/warning"},
		"outrider/sidecar/http2":   {"outrider/sidecar/http1", "outrider/sidecar/stream"}, // says in the one's words what the other's connections carry
		"outrider/sidecar/admin":   {},
		"outrider/sidecar/attach":  {},
		"outrider/sidecar/cluster": {"outrider/sidecar/proxyproto"}, // a policy says in which version backends are told
		"outrider/sidecar/config": {"outrider/sidecar/credential", // a certificate is judged by who will use it
			"outrider/sidecar/proxyproto"}, // which names the versions
		"outrider/sidecar/credential": {},
		"outrider/sidecar/doctor":     {"outrider/sidecar/config", "outrider/sidecar/mount", "outrider/sidecar/proxyproto"},
		"outrider/sidecar/mount":      {},
		"outrider/sidecar/proxyproto": {},
		"outrider/sidecar/health":     {"outrider/sidecar/cause"},
		"outrider/sidecar/cause":      {},
		"outrider/sidecar/http1":      {},
		"outrider/sidecar/stream":     {},
		"outrider/sidecar/telemetry":  {"github.com/prometheus/client_golang"},
		"outrider/sidecar/trace":      {"go.opentelemetry.io/otel"}, // apart from telemetry, which needs none of it
		"outrider/sidecar/warning":    {},
		"outrider/sidecar/watch":      {},
		"outrider/scripting":          {"github.com/dop251/goja"},
		"outrider/scripting/cases":    {"outrider/scripting", "outrider/scripting/bundle"}, // tests what production runs, by what production runs
		"outrider/scripts":            {},
		"outrider/gossip":             {"github.com/hashicorp/memberlist"},

		"outrider/integration/program": {},
		"outrider/integration/command": {},
		"outrider/integration/soak":    {"outrider/integration/command", "outrider/integration/program"},
		"outrider/integration/wire":    {"outrider/integration/program"},
		"outrider/integration/doctor":  {"outrider/integration/program"},
		"outrider/integration/scripts": {"outrider/integration/program"},
		"outrider/integration/systemd": {"outrider/integration/program"},
		"outrider/integration/spread": {"outrider/integration/command", "outrider/gossip", "outrider/sidecar/app", "outrider/sidecar/config", "outrider/sidecar/health",
			"github.com/hashicorp/memberlist"}, // whole sidecars on a network of its own
		"outrider/integration/balance":            {"outrider/integration/command", "outrider/sidecar/app", "outrider/sidecar/config"}, // a whole sidecar
		"outrider/integration/bench":              {"outrider/integration/command"},
		"outrider/integration/compose/poison":     {"outrider/gossip", "outrider/sidecar/health"}, // a peer that lies
		"outrider/integration/app":                {},
		"outrider/integration/compose":            {},
		"outrider/integration/prometheus":         {"outrider/integration/program"},
		"outrider/integration/bench/reverseproxy": {},
		"outrider/integration/bench/shake":        {},
		"outrider/integration/bench/unary":        {},
	}
}

// confined are the libraries that only the packages above may import which name
// them.
func confined() []string {
	return []string{"github.com/dop251/goja", "github.com/hashicorp/memberlist", "github.com/prometheus/client_golang", "github.com/evanw/esbuild", "go.opentelemetry.io/otel"}
}

type listed struct {
	ImportPath string
	Imports    []string
}

func TestPackagesImportOnlyWhatTheDesignAllows(t *testing.T) {
	for _, p := range packages(t) {
		arrows, known := allowed()[p.ImportPath]
		if !known {
			t.Errorf("package %s is not in the design: add it to allowed(), with its arrows", p.ImportPath)
			continue
		}
		for _, imported := range p.Imports {
			if guarded(imported) && !slices.ContainsFunc(arrows, func(arrow string) bool { return covers(arrow, imported) }) {
				t.Errorf("%s imports %s, which the design does not allow", p.ImportPath, imported)
			}
		}
	}
}

// covers tells whether an arrow leads to a package. One to a library leads to its
// packages too; one of ours is for that package alone.
func covers(arrow, imported string) bool {
	return imported == arrow || slices.Contains(confined(), arrow) && strings.HasPrefix(imported, arrow+"/")
}

func guarded(imported string) bool {
	if strings.HasPrefix(imported, "outrider/") {
		return true
	}
	return slices.ContainsFunc(confined(), func(library string) bool { return strings.HasPrefix(imported, library) })
}

func packages(t *testing.T) []listed {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", "outrider/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []listed
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}
