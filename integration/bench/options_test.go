package main

import (
	"io"
	"os"
	"slices"
	"strings"
	"testing"
)

func TestEveryContenderRunsUnlessSomeAreNamed(t *testing.T) {
	all, err := parseOptions(nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if got := namesOf(all.contenders); !slices.Equal(got, []string{"outrider", "outrider+script", "nginx", "nginx+njs", "haproxy", "haproxy+lua", "caddy", "reverseproxy", "relay"}) {
		t.Errorf("got %v", got)
	}
	some, err := parseOptions([]string{"-contenders", "haproxy,nginx"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if got := namesOf(some.contenders); !slices.Equal(got, []string{"haproxy", "nginx"}) {
		t.Errorf("got %v", got)
	}
}

func TestOptionsThatMakeNoSenseAreRefusedByName(t *testing.T) {
	for _, row := range []struct{ arguments, want string }{
		{"-contenders nginx,apache", `"apache" is not known; there are outrider`},
		{"-contenders nginx,nginx", "twice"},
		{"-rounds 0", "-rounds"},
		{"-duration 1500ms", "-duration"},
		{"-duration 0s", "-duration"},
		{"-workers 0", "-workers"},
		{"-connections 1 -workers 2", "-connections"},
		{"nginx", `"nginx" is not a flag`},
	} {
		_, err := parseOptions(strings.Fields(row.arguments), io.Discard)
		if err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: got %v, want %s", row.arguments, err, row.want)
		}
	}
}

func TestEveryConfigurationNamesItsListenerAndBothBackends(t *testing.T) {
	for _, c := range contenders() {
		t.Run(c.name, func(t *testing.T) {
			s := site{
				Listen: "127.0.0.1:1111", One: "127.0.0.1:2222", Two: "127.0.0.1:3333",
				Workers: 1, Connections: 64, Dir: t.TempDir(),
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
			for _, part := range []string{s.Listen, s.One, s.Two, s.Script} {
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
