//go:build linux

package doctor_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"outrider/integration/program"
)

var binary string

func TestMain(m *testing.M) { os.Exit(program.Main(m, &binary)) }

// namespace is a network namespace of the test's own, with one link out of it, as
// the engine makes one for a container.
type namespace struct {
	t          *testing.T
	name, link string
}

func newNamespace(t *testing.T) namespace {
	t.Helper()
	n := namespace{t, fmt.Sprintf("outrider-%d", os.Getpid()), fmt.Sprintf("or%d", os.Getpid()%1_000_000)}
	n.ip("netns", "add", n.name)
	t.Cleanup(func() { _ = exec.Command("ip", "netns", "delete", n.name).Run() })
	n.ip("-n", n.name, "link", "set", "lo", "up")
	n.ip("link", "add", n.link, "type", "veth", "peer", "name", "eth0", "netns", n.name)
	t.Cleanup(func() { _ = exec.Command("ip", "link", "delete", n.link).Run() })
	n.ip("-n", n.name, "address", "add", "198.18.77.2/30", "dev", "eth0") // RFC 2544: nobody's
	n.ip("-n", n.name, "link", "set", "eth0", "up")
	return n
}

func (n namespace) ip(args ...string) {
	n.t.Helper()
	if text, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		n.t.Fatalf("ip %s: %v\n%s (needs root, and iproute2)", strings.Join(args, " "), err, text)
	}
}

// command is the program in the namespace.
func (n namespace) command(dir string, args ...string) *exec.Cmd {
	command := exec.Command("ip", append([]string{"netns", "exec", n.name, binary}, args...)...)
	command.Dir = dir
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "XDG_RUNTIME_DIR=" + dir}
	return command
}

// outrider runs the program in the namespace to its end.
func (n namespace) outrider(dir string, args ...string) (told string, err error) {
	text, err := n.command(dir, args...).CombinedOutput()
	return string(text), err
}

// awaitHealthy waits for the healthcheck of the sidecar there to pass.
func (n namespace) awaitHealthy(dir string) {
	n.t.Helper()
	eventually(n.t, func() error {
		told, err := n.outrider(dir, "healthcheck")
		if err != nil {
			return fmt.Errorf("%s%w", told, err)
		}
		return nil
	})
}

func TestASidecarWhoseNetworkIsGoneIsNotHealthy(t *testing.T) {
	n := newNamespace(t)
	dir := folder(t, map[string]string{"outrider.yaml": "clusters: { one: { backends: [\"127.0.0.1:8000\"] } }\n"})
	start(t, n.command(dir, "run"))
	n.awaitHealthy(dir)
	if told, _ := n.outrider(dir, "doctor"); strings.Contains(told, "no network") {
		t.Errorf("there is a network, and the doctor sees none:\n%s", told)
	}

	n.ip("link", "delete", n.link) // as the engine does when the owner of the network restarts
	eventually(t, func() error {
		told, err := n.outrider(dir, "healthcheck")
		if err == nil || !strings.Contains(told, "outrider: no network but lo: whoever joins the network of another container") {
			return fmt.Errorf("still healthy, or without the reason: %s", told)
		}
		return nil
	})
	told, err := n.outrider(dir, "doctor")
	if err == nil || !strings.Contains(told, "no network but lo") || !strings.Contains(told, "command: [hold]") || !strings.Contains(told, "1 thing is wrong") {
		t.Errorf("the doctor: %v\n%s", err, told)
	}
}

func TestASidecarThatNeedsOnlyLoopbackIsHealthyWithIt(t *testing.T) {
	n := newNamespace(t)
	n.ip("link", "delete", n.link)
	dir := folder(t, map[string]string{"outrider.yaml": "listen: \"127.0.0.1:6188\"\nclusters: { one: { backends: [\"127.0.0.1:8000\"] } }\n"})
	start(t, n.command(dir, "run"))
	n.awaitHealthy(dir)
}

func TestAScriptThatIsMountedAloneIsFound(t *testing.T) {
	dir := folder(t, map[string]string{
		"outrider.yaml":    "script: { file: scripts/route.js }\nclusters: { one: { backends: [\"127.0.0.1:8000\"] } }\n",
		"scripts/route.js": "function route() { return 'one'; }\n",
		"elsewhere.js":     "function route() { return 'one'; }\n",
	})
	command := exec.Command("unshare", "--mount", "sh", "-c", `mount --bind elsewhere.js scripts/route.js && exec "$0" doctor`, binary)
	command.Dir = dir
	text, _ := command.CombinedOutput()
	const want = "outrider.yaml:1:11: script.file: scripts/route.js is mounted as a single file"
	if !strings.Contains(string(text), want) || !strings.Contains(string(text), "mount its folder, scripts, instead") {
		t.Errorf("want %q in:\n%s", want, text)
	}
	command = exec.Command("unshare", "--mount", "sh", "-c", `mount --bind scripts scripts && exec "$0" doctor`, binary)
	command.Dir = dir
	if text, _ := command.CombinedOutput(); strings.Contains(string(text), "single file") {
		t.Errorf("a folder is mounted, and the doctor complains:\n%s", text)
	}
}

// folder is one with the files in it.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// start starts a program that the end of the test ends; what it has written is shown
// then, if the test has failed.
func start(t *testing.T, command *exec.Cmd) {
	t.Helper()
	var log bytes.Buffer
	command.Stdout, command.Stderr = &log, &log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
		if t.Failed() {
			t.Logf("the sidecar:\n%s", log.String())
		}
	})
}

func eventually(t *testing.T, holds func() error) {
	t.Helper()
	const patience = 20 * time.Second
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		err := holds()
		if err == nil {
			return
		}
		select {
		case <-look.C:
		case <-deadline.C:
			t.Fatalf("not within %v: %v", patience, err)
		}
	}
}
