package main

import (
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestEveryScenarioRunsWithAllItHasUnlessSomeAreNamed(t *testing.T) {
	all, err := parseOptions(nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := scenarioNames(all.scenarios), scenarioNames(scenarios()); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := namesOf(all.scenarios[0].contenders); !slices.Equal(got, namesOf(contenders())) {
		t.Errorf("the first one has %v", got)
	}
	some, err := parseOptions([]string{"-scenario", "c4,c32", "-contenders", "haproxy,nginx", "-quick"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if got := scenarioNames(some.scenarios); !slices.Equal(got, []string{"c4", "c32"}) {
		t.Errorf("got %v", got)
	}
	if got := namesOf(some.scenarios[0].contenders); !slices.Equal(got, []string{"nginx", "haproxy"}) {
		t.Errorf("got %v", got)
	}
	if some.rounds != 1 || some.duration != time.Second {
		t.Errorf("quick is %d rounds of %v", some.rounds, some.duration)
	}
}

func TestOptionsThatMakeNoSenseAreRefusedByName(t *testing.T) {
	for _, row := range []struct{ arguments, want string }{
		{"-contenders nginx,apache", `"apache" is not known; there are outrider`},
		{"-contenders nginx,nginx", "twice"},
		{"-rounds 0", "-rounds"},
		{"-duration 1500ms", "-duration"},
		{"-duration 0s", "-duration"},
		{"-scenario c33", `"c33" is not known; there are c32`},
		{"-scenario features -contenders nginx", "features has none of them"},
		{"nginx", `"nginx" is not a flag`},
	} {
		_, err := parseOptions(strings.Fields(row.arguments), io.Discard)
		if err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: got %v, want %s", row.arguments, err, row.want)
		}
	}
}

func TestEveryConfigurationNamesItsListenerAndBothBackends(t *testing.T) {
	for _, c := range append(contenders(), variants()[1:7]...) {
		t.Run(c.name, func(t *testing.T) {
			s := site{
				Listen: "127.0.0.1:1111", One: "127.0.0.1:2222", Two: "127.0.0.1:3333",
				Workers: 1, Connections: 64, Clients: 4444, Dir: t.TempDir(), variant: c.variant,
			}
			if c.script != "" {
				s.Script = "/" + c.script
			}
			if c.floor {
				s.Two = "" // it knows one backend only
			}
			if err := c.configure(&s); err != nil {
				t.Fatal(err)
			}
			text := strings.Join(c.arguments(s), " ")
			if s.Config != "" {
				file, err := os.ReadFile(s.Config)
				if err != nil {
					t.Fatal(err)
				}
				text = string(file)
			}
			for _, part := range []string{s.Listen, s.One, s.Two, s.Script, s.Listener, s.Cluster, s.Log} {
				if !strings.Contains(text, part) {
					t.Errorf("%q is missing in\n%s", part, text)
				}
			}
		})
	}
}

func TestVersionsAreShownWithoutTheWordsAroundThem(t *testing.T) {
	for line, want := range map[string]string{
		"nginx version: nginx/1.22.1":                                "nginx/1.22.1",
		"HAProxy version 2.6.12-1 2024/06/20 - https://haproxy.org/": "2.6.12-1 2024/06/20",
		"wrk debian/4.1.0 [epoll] Copyright (C) 2012 Will Glozer":    "wrk debian/4.1.0",
		"outrider v0.1.0": "outrider v0.1.0",
	} {
		if got := trimVersion(line); got != want {
			t.Errorf("%q becomes %q, want %q", line, got, want)
		}
	}
}
