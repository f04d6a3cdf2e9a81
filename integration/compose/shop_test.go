//go:build integration

package compose_test

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// The ports inside of a pair.
const (
	requests = "6188" // of the sidecar
	operator = "6189"
	status   = "6190"
	inFront  = "8000"
	behave   = "8081" // of the app
)

// shop is a project of docker-compose.yml that runs: its pairs are a, b and c.
type shop struct {
	t       *testing.T
	project string
	scripts string // the folder that the sidecars see as /scripts
	folder  string // the one that they see as /etc/outrider
	files   []string
	ids     map[string]string // of containers, by service
	ports   map[string]string // by service and port
	token   string
}

// newShop is a project that has not been started yet, with further compose files
// on top. It goes with the test.
func newShop(t *testing.T, files ...string) *shop {
	t.Helper()
	s := &shop{
		t: t, project: fmt.Sprintf("%s%d-%d", marked, os.Getpid(), bench.projects.Add(1)), scripts: t.TempDir(),
		folder: filepath.Join(bench.top, "integration/compose/config"),
		files:  append([]string{"docker-compose.yml", "integration/compose/ports.yaml"}, files...),
		ids:    map[string]string{}, ports: map[string]string{},
	}
	rule, err := os.ReadFile(filepath.Join(bench.top, "scripts/default.js"))
	if err != nil {
		t.Fatal(err)
	}
	s.write("default.js", string(rule))
	t.Cleanup(s.close)
	return s
}

// openShop is a project in which everything is up.
func openShop(t *testing.T, files ...string) *shop {
	t.Helper()
	s := newShop(t, files...)
	s.compose("up", "--detach", "--no-build")
	s.awaitAllUp()
	s.awaitPeers()
	return s
}

// openShopWithoutGossip is one whose sidecars know nothing of each other.
func openShopWithoutGossip(t *testing.T) *shop {
	t.Helper()
	s := newShop(t)
	text, err := os.ReadFile(filepath.Join(s.folder, "outrider.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	section := regexp.MustCompile(`(?m)^gossip:\n( .*\n)+`)
	if !section.Match(text) {
		t.Fatalf("there is no section gossip to leave out:\n%s", text)
	}
	s.folder = t.TempDir()
	place(t, s.folder, "outrider.yaml", string(section.ReplaceAll(text, nil)))
	s.compose("up", "--detach", "--no-build")
	s.awaitAllUp()
	return s
}

func (s *shop) close() {
	if s.t.Failed() {
		for _, pair := range pairs {
			s.t.Logf("sidecar-%s says:\n%s", pair, tail(s.logs("sidecar-"+pair), 30))
		}
	}
	s.compose("down", "--volumes", "--timeout", "1")
}

// composeTimeout is far more than compose needs for anything.
const composeTimeout = 2 * time.Minute

func (s *shop) compose(arguments ...string) string {
	s.t.Helper()
	words := []string{"-p", s.project}
	for _, file := range s.files {
		words = append(words, "-f", file)
	}
	ctx, cancel := context.WithTimeout(context.Background(), composeTimeout)
	defer cancel()
	command := bench.command(ctx, []string{"OUTRIDER_SCRIPTS=" + s.scripts, "OUTRIDER_FOLDER=" + s.folder}, append(words, arguments...)...)
	text, err := command.CombinedOutput()
	if err != nil {
		s.t.Fatalf("%s: %v\n%s", strings.Join(command.Args, " "), err, text)
	}
	return string(text)
}

// write puts a file into the folder of scripts.
func (s *shop) write(name, text string) {
	s.t.Helper()
	place(s.t, s.scripts, name, text)
}

// place puts a file into a folder that containers see, as an editor does that
// replaces it.
func place(t *testing.T, folder, name, text string) {
	t.Helper()
	beside := filepath.Join(folder, "."+name)
	err := errors.Join(
		os.Chmod(folder, 0o755), // the containers' user is another
		os.WriteFile(beside, []byte(text), 0o644),
		os.Rename(beside, filepath.Join(folder, name)))
	if err != nil {
		t.Fatal(err)
	}
}

// docker does something with the container of a service: kill, start, restart,
// pause, unpause, exec.
func (s *shop) docker(verb, service string, arguments ...string) string {
	s.t.Helper()
	text, err := try("docker", append([]string{verb, s.id(service)}, arguments...)...)
	if err != nil {
		s.t.Fatal(err)
	}
	return text
}

// logs is all that a service has said.
func (s *shop) logs(service string) string {
	id, err := s.find(service)
	if err != nil {
		return err.Error()
	}
	text, err := exec.Command("docker", "logs", id).CombinedOutput()
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func (s *shop) id(service string) string {
	s.t.Helper()
	id, err := s.find(service)
	if err != nil {
		s.t.Fatal(err)
	}
	return id
}

func (s *shop) find(service string) (string, error) {
	if id := s.ids[service]; id != "" {
		return id, nil
	}
	id, err := try("docker", "ps", "--all", "--quiet", "--no-trunc", "--filter", "label=com.docker.compose.project="+s.project,
		"--filter", "label=com.docker.compose.service="+service)
	id = strings.TrimSpace(id)
	if err == nil && id == "" {
		err = fmt.Errorf("%s has no container of %s", s.project, service)
	}
	s.ids[service] = id
	return id, err
}

// url is where a port of a pair, or of app-d, is published.
func (s *shop) url(service, port, path string) string {
	s.t.Helper()
	key := service + " " + port
	if s.ports[key] == "" {
		published, err := try("docker", "port", s.id(service), port+"/tcp")
		if err != nil {
			s.t.Fatal(err)
		}
		s.ports[key] = strings.TrimSpace(strings.SplitN(published, "\n", 2)[0])
	}
	return "http://" + s.ports[key] + path
}

// at is the url of a path at the sidecar of a pair.
func (s *shop) at(pair, path string) string {
	s.t.Helper()
	return s.url("pair-"+pair, requests, path)
}

// tell has an app behave: delay=300ms, status=500, reset=3, hang=true ... or well.
func (s *shop) tell(app, how string) {
	s.t.Helper()
	service := "pair-" + strings.TrimPrefix(app, "app-")
	if app == "app-d" {
		service = app
	}
	if a := ask(s.url(service, behave, "/behave?"+how)); a.err != nil || a.status != http.StatusOK {
		s.t.Fatalf("%s does not listen to %q: %v", app, how, a)
	}
}

// adminToken is the token that this project has made for itself.
func (s *shop) adminToken() string {
	s.t.Helper()
	if s.token != "" {
		return s.token
	}
	text, err := try("docker", "cp", s.id("sidecar-a")+":/var/lib/outrider/admin.token", "-")
	if err != nil {
		s.t.Fatal(err)
	}
	file := tar.NewReader(strings.NewReader(text))
	if _, err := file.Next(); err != nil {
		s.t.Fatal(err)
	}
	token, err := io.ReadAll(file)
	if err != nil {
		s.t.Fatal(err)
	}
	s.token = strings.TrimSpace(string(token))
	return s.token
}

// view is what a sidecar says of itself.
type view struct {
	Ready    bool
	Clusters []struct {
		Name     string
		Backends []struct{ Name, Address, State, Reason string }
	}
}

// states are those of the backends by cluster and backend, like "one app-a:8080".
func (v view) states() map[string]string {
	states := map[string]string{}
	for _, c := range v.Clusters {
		for _, b := range c.Backends {
			states[c.Name+" "+b.Name] = b.State
		}
	}
	return states
}

// see asks the sidecar of a pair what it sees.
func (s *shop) see(pair string) (v view, err error) {
	s.t.Helper()
	return v, s.inquire(pair, "/status", &v)
}

// inquire asks the admin listener of the sidecar of a pair.
func (s *shop) inquire(pair, path string, answer any) error {
	s.t.Helper()
	return s.question(pair, http.MethodGet, path, nil, answer)
}

// question asks it something that takes more words.
func (s *shop) question(pair, method, path string, words, answer any) error {
	s.t.Helper()
	var body bytes.Buffer
	if words != nil {
		if err := json.NewEncoder(&body).Encode(words); err != nil {
			return err
		}
	}
	request, err := http.NewRequest(method, s.url("pair-"+pair, operator, path), &body)
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+s.adminToken())
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s of sidecar-%s: %s", path, pair, response.Status)
	}
	return json.NewDecoder(response.Body).Decode(answer)
}

// awaitState waits until the sidecar of a pair sees a backend so, in every cluster
// that has it, and is when.
func (s *shop) awaitState(pair, backend, state string) time.Time {
	s.t.Helper()
	s.eventually(fmt.Sprintf("sidecar-%s sees %s %s", pair, backend, state), func() bool {
		v, err := s.see(pair)
		seen := false
		for name, is := range v.states() {
			if strings.HasSuffix(name, " "+backend) {
				seen = true
				if is != state {
					return false
				}
			}
		}
		return err == nil && seen
	})
	return time.Now()
}

var pairs = []string{"a", "b", "c"}

// awaitAllUp waits until every sidecar is ready and sees every backend up.
func (s *shop) awaitAllUp() {
	s.t.Helper()
	for _, pair := range pairs {
		s.eventually("all is up for sidecar-"+pair, func() bool {
			v, err := s.see(pair)
			for _, state := range v.states() {
				if state != "up" {
					return false
				}
			}
			return err == nil && v.Ready
		})
	}
}

// awaitPeers waits until every sidecar knows the two others.
func (s *shop) awaitPeers() {
	s.t.Helper()
	for _, pair := range pairs {
		s.eventually("sidecar-"+pair+" knows its peers", func() bool {
			var known struct{ Peers []struct{ Name string } }
			err := s.inquire(pair, "/peers", &known)
			return err == nil && len(known.Peers) == len(pairs)-1
		})
	}
}

func (s *shop) eventually(what string, holds func() bool) {
	s.t.Helper()
	eventually(s.t, what, holds)
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	if !soon(holds) {
		t.Fatalf("not within %v: %s", patience, what)
	}
}

// soon tells whether something holds before patience ends.
func soon(holds func() bool) bool {
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for !holds() {
		select {
		case <-look.C:
		case <-deadline.C:
			return false
		}
	}
	return true
}

func tail(text string, lines int) string {
	all := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
