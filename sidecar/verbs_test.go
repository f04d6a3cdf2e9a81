package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/jsonschema-go/jsonschema"
	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"outrider": main})
}

// The scripts show each verb as its user sees it. Beside testscript's own
// commands they have those below.
func TestVerbs(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("XDG_RUNTIME_DIR", filepath.Join(env.WorkDir, "run"))
			env.Setenv("GORACE", "atexit_sleep_ms=0") // else each program lasts a second longer
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"ports": ports, "backend": backend, "get": get, "signal": signalSidecar,
			"await": await, "expand": expand, "conforms": conforms, "json": isJSON,
		},
	})
}

// patience is how long a script waits for what must happen.
const patience = 20 * time.Second

func eventually(ts *testscript.TestScript, what string, holds func() bool) {
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for !holds() {
		select {
		case <-look.C:
		case <-deadline.C:
			ts.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// ports NAME...: sets each variable to a port that is free. They lie below those
// that the system gives to who does not mind.
func ports(ts *testscript.TestScript, _ bool, names []string) {
	for _, name := range names {
		eventually(ts, "a free port", func() bool {
			port := strconv.Itoa(20_000 + rand.IntN(10_000))
			if _, taken := givenPorts.LoadOrStore(port, true); taken {
				return false
			}
			ln, err := net.Listen("tcp", ":"+port)
			if err != nil {
				return false
			}
			ts.Setenv(name, port)
			return ln.Close() == nil
		})
	}
}

// givenPorts are those of all scripts, which run at the same time.
var givenPorts sync.Map

// backend PORT TEXT: answers every request with the text, until the script ends.
func backend(ts *testscript.TestScript, _ bool, args []string) {
	port, text := args[0], args[1]
	ln, err := net.Listen("tcp", "127.0.0.1:"+port)
	ts.Check(err)
	server := &http.Server{ReadHeaderTimeout: patience, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, text)
	})}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(ln)
	}()
	ts.Defer(func() {
		_ = server.Close()
		<-ended
	})
}

// get URL [PATTERN]: prints the status and the body of the answer. With a
// pattern it asks again until both together match. With ! nobody may listen. What
// follows are fields of the request, Name:value.
func get(ts *testscript.TestScript, neg bool, args []string) {
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	ask := func() (string, error) {
		request, err := http.NewRequest(http.MethodGet, args[0], http.NoBody)
		if err != nil {
			return "", err
		}
		for _, field := range args[min(2, len(args)):] {
			name, value, _ := strings.Cut(field, ":")
			request.Header.Set(name, value)
		}
		response, err := client.Do(request)
		if err != nil {
			return "", err
		}
		defer func() { _ = response.Body.Close() }()
		body, err := io.ReadAll(response.Body)
		return fmt.Sprintf("%d %s", response.StatusCode, body), err
	}
	pattern := regexp.MustCompile(".")
	if len(args) > 1 {
		pattern = regexp.MustCompile(args[1])
	}
	var answer string
	var err error
	eventually(ts, strings.Join(args, " "), func() bool {
		answer, err = ask()
		return neg && errors.Is(err, syscall.ECONNREFUSED) || !neg && err == nil && pattern.MatchString(answer)
	})
	_, _ = io.WriteString(ts.Stdout(), answer)
}

// signal NAME: sends TERM, INT, HUP or USR1 to the programs in the background.
func signalSidecar(ts *testscript.TestScript, _ bool, args []string) {
	signal := map[string]os.Signal{"TERM": syscall.SIGTERM, "INT": syscall.SIGINT, "HUP": syscall.SIGHUP, "USR1": syscall.SIGUSR1}[args[0]]
	for _, program := range ts.BackgroundCmds() {
		ts.Check(program.Process.Signal(signal))
	}
}

// await FILE: waits until it is there.
func await(ts *testscript.TestScript, _ bool, args []string) {
	eventually(ts, args[0], func() bool {
		_, err := os.Stat(ts.MkAbs(args[0]))
		return err == nil
	})
}

// expand FILE...: replaces $NAME in them by the script's variables.
func expand(ts *testscript.TestScript, _ bool, files []string) {
	for _, file := range files {
		text := os.Expand(ts.ReadFile(file), ts.Getenv)
		ts.Check(os.WriteFile(ts.MkAbs(file), []byte(text), 0o600))
	}
}

// json FILE: it is JSON.
func isJSON(ts *testscript.TestScript, _ bool, args []string) {
	if !json.Valid([]byte(ts.ReadFile(args[0]))) {
		ts.Fatalf("%s is not JSON", args[0])
	}
}

// conforms SCHEMA FILE: the YAML file is what the JSON Schema says, or with ! is
// not.
func conforms(ts *testscript.TestScript, neg bool, args []string) {
	var schema jsonschema.Schema
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &schema))
	resolved, err := schema.Resolve(nil)
	ts.Check(err)
	text, err := yaml.YAMLToJSON([]byte(ts.ReadFile(args[1])))
	ts.Check(err)
	var value any
	ts.Check(json.Unmarshal(text, &value))
	if err := resolved.Validate(value); (err != nil) != neg {
		ts.Fatalf("%s: %v", args[1], err)
	}
}
