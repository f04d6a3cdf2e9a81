//go:build linux

package wire_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"outrider/integration/program"
)

// container is a sidecar in a container that the kernel kills when it takes more
// than its memory.
type container struct {
	*sidecar
	name string
}

// contain starts the program in a container with so many MiB of memory, no swap,
// and the machine's network. It ends with the test, whatever comes of that, and
// must not have ended before.
func contain(t *testing.T, backend, limits string, memory int) *container {
	t.Helper()
	sc := &sidecar{t: t, addr: program.FreeAddress(t), status: program.FreeAddress(t)}
	_, port, _ := net.SplitHostPort(sc.addr)
	c := &container{sc, fmt.Sprintf("outrider-wire-%d-%s", os.Getpid(), port)}
	sc.log = c
	image := c.name + ":test"
	t.Cleanup(func() {
		_ = exec.Command("docker", "rm", "--force", c.name).Run()
		_ = exec.Command("docker", "rmi", "--force", image).Run()
	})
	docker(t, imageOf(t, sc.config(backend, limits)), "import", "--change", `ENTRYPOINT ["/outrider", "run", "-c", "/outrider.yaml"]`, "-", image)
	docker(t, nil, "run", "--detach", "--name", c.name, "--network", "host", "--ulimit", "nofile=20000:20000",
		"--memory", fmt.Sprintf("%dm", memory), "--memory-swap", fmt.Sprintf("%dm", memory), image)
	t.Cleanup(c.expectAlive)
	sc.pid, _ = strconv.Atoi(c.inspect("{{.State.Pid}}"))
	until(t, "the container to serve", func() bool { return sc.get("/") == nil })
	return c
}

// docker runs the command of that name, and is what it says.
func docker(t *testing.T, input []byte, arguments ...string) string {
	t.Helper()
	command := exec.Command("docker", arguments...)
	command.Stdin = bytes.NewReader(input)
	text, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("docker %s: %v\n%s\nThis test needs a Docker engine (Debian: docker.io) that runs on this machine, and the right to use it.", arguments[0], err, text)
	}
	return strings.TrimSpace(string(text))
}

// imageOf is the file system of an image: the program, its configuration, and
// nothing else.
func imageOf(t *testing.T, config []byte) []byte {
	t.Helper()
	program, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	var image bytes.Buffer
	files := tar.NewWriter(&image)
	for name, content := range map[string][]byte{"outrider": program, "outrider.yaml": config} {
		if err := files.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(content))}); err != nil {
			t.Fatal(err)
		}
		if _, err := files.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	if err := files.Close(); err != nil {
		t.Fatal(err)
	}
	return image.Bytes()
}

func (c *container) inspect(what string) string {
	return docker(c.t, nil, "inspect", "--format", what, c.name)
}

// String is the container's log.
func (c *container) String() string { return docker(c.t, nil, "logs", c.name) }

// expectAlive expects that the kernel has let the container live.
func (c *container) expectAlive() {
	c.t.Helper()
	if got, want := c.inspect("{{.State.Running}} {{.State.OOMKilled}} {{.RestartCount}}"), "true false 0"; got != want {
		c.t.Errorf("running, killed for its memory, restarts: %s, want %s\n%s", got, want, c)
	}
}

// used is the memory that the kernel counts as the container's, in MiB: now, and
// the most that it ever was.
func (c *container) used() (now, most int) {
	c.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", c.pid))
	if err != nil {
		c.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		switch {
		case parts[1] == "memory":
			group := filepath.Join("/sys/fs/cgroup/memory", parts[2])
			return mebibytes(c.t, group, "memory.usage_in_bytes"), mebibytes(c.t, group, "memory.max_usage_in_bytes")
		case parts[1] == "" && isFile("/sys/fs/cgroup", parts[2], "memory.peak"):
			group := filepath.Join("/sys/fs/cgroup", parts[2])
			return mebibytes(c.t, group, "memory.current"), mebibytes(c.t, group, "memory.peak")
		}
	}
	c.t.Fatalf("nobody counts the container's memory:\n%s", text)
	return 0, 0
}

func isFile(path ...string) bool {
	_, err := os.Stat(filepath.Join(path...))
	return err == nil
}

func mebibytes(t *testing.T, group, file string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(group, file))
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return n >> 20
}
