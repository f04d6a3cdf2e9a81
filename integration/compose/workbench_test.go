//go:build integration

package compose_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

// bench is the one on which all tests of this run work.
var bench *workbench

// workbench is an engine, the images of this run, and what has to go when it ends.
type workbench struct {
	top      string   // of the repository
	compose  []string // the command: docker compose, or docker-compose
	base     string   // what the images' builds start from
	outrider string   // the images
	app      string
	projects atomic.Int64
}

// marked is how everything is called that a run makes: with the process that made it.
const marked = "outrider-test-"

const noEngine = `no Docker engine can be reached: %w
These tests run real containers. Start an engine (Debian: apt install docker.io
docker-compose, then systemctl start docker, or dockerd &; elsewhere Docker Desktop
or colima), or run what needs none: make test-unit`

func newWorkbench() (*workbench, error) {
	top, err := filepath.Abs("../..")
	if err != nil {
		return nil, err
	}
	if _, err := try("docker", "version", "--format", "{{.Server.Version}}"); err != nil {
		return nil, fmt.Errorf(noEngine, err)
	}
	b := &workbench{top: top}
	switch {
	case runs("docker", "compose", "version"):
		b.compose = []string{"docker", "compose"}
	case runs("docker-compose", "version"):
		b.compose = []string{"docker-compose"}
	default:
		return nil, errors.New("there is neither docker compose nor docker-compose (Debian: apt install docker-compose); make test-unit needs none")
	}
	b.outrider = fmt.Sprintf("%s%d:outrider", marked, os.Getpid())
	b.app = fmt.Sprintf("%s%d:app", marked, os.Getpid())
	b.sweep(func(pid int) bool { return syscall.Kill(pid, 0) == syscall.ESRCH })
	return b, nil
}

// build makes the images from the compose file as it is. They start from the image
// in GO_IMAGE, from one made of this machine's own Go, or where that is not for
// containers, from the one that the file names.
func (b *workbench) build() error {
	b.base = os.Getenv("GO_IMAGE")
	if b.base == "" && runtime.GOOS == "linux" {
		made, err := exec.Command(filepath.Join(b.top, "integration/image.sh")).Output()
		if err != nil {
			return fmt.Errorf("integration/image.sh: %w\n%s\nName an image with Go in GO_IMAGE", err, stderrOf(err))
		}
		b.base = strings.TrimSpace(string(made))
	}
	build := b.command(context.Background(), nil, "-p", marked+strconv.Itoa(os.Getpid()), "build", "pair-a", "app-a")
	if text, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(build.Args, " "), err, text)
	}
	return nil
}

// command is a call of compose on our file, with the images of this run.
func (b *workbench) command(ctx context.Context, env []string, arguments ...string) *exec.Cmd {
	words := append(b.compose[1:len(b.compose):len(b.compose)], arguments...)
	command := exec.CommandContext(ctx, b.compose[0], words...)
	command.Dir = b.top
	command.Env = append(os.Environ(), "GO_IMAGE="+b.base, "OUTRIDER_IMAGE="+b.outrider, "APP_IMAGE="+b.app,
		"OUTRIDER_PORT=0", "OUTRIDER_ADMIN=0", "OUTRIDER_STATUS=0", "OUTRIDER_PORT_B=0", "OUTRIDER_PORT_C=0") // 0: any that is free
	command.Env = append(command.Env, env...)
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for us: we clear away
	return command
}

// clear removes all that this run has made, but the layers that the next build
// begins with.
func (b *workbench) clear() {
	b.sweep(func(pid int) bool { return pid == os.Getpid() })
	stages, _ := try("docker", "image", "ls", "--quiet", "--filter", "dangling=true", "--filter", "label=outrider.stage=build")
	for i, id := range strings.Fields(stages) { // the newest comes first
		if i > 1 {
			_, _ = try("docker", "image", "rm", id)
		}
	}
}

// sweep removes what processes have made that are to go: those of runs that were
// killed leave things behind.
func (b *workbench) sweep(goes func(pid int) bool) {
	const project = `{{.Label "com.docker.compose.project"}}`
	for _, kind := range []struct{ list, remove []string }{
		{[]string{"ps", "--all", "--format", "{{.ID}} " + project}, []string{"rm", "--force", "--volumes"}},
		{[]string{"ps", "--all", "--format", "{{.ID}} {{.Names}}"}, []string{"rm", "--force", "--volumes"}},
		{[]string{"network", "ls", "--format", "{{.ID}} {{.Name}}"}, []string{"network", "rm"}},
		{[]string{"volume", "ls", "--format", "{{.Name}} {{.Name}}"}, []string{"volume", "rm", "--force"}},
		{[]string{"image", "ls", "--format", "{{.Repository}}:{{.Tag}} {{.Repository}}"}, []string{"image", "rm", "--force"}},
	} {
		things, err := try("docker", kind.list...)
		if err != nil {
			continue
		}
		for line := range strings.Lines(things) {
			id, name, _ := strings.Cut(strings.TrimSpace(line), " ")
			if pid, ours := maker(name); ours && goes(pid) {
				_, _ = try("docker", append(kind.remove, id)...)
			}
		}
	}
}

// maker is the process that made a thing of this name.
func maker(name string) (pid int, ours bool) {
	rest, ours := strings.CutPrefix(name, marked)
	digits := strings.IndexFunc(rest+".", func(r rune) bool { return r < '0' || r > '9' })
	pid, err := strconv.Atoi(rest[:digits])
	return pid, ours && err == nil
}

func runs(name string, arguments ...string) bool {
	_, err := try(name, arguments...)
	return err == nil
}

// try runs a command, and is what it says.
func try(name string, arguments ...string) (string, error) {
	var out, said bytes.Buffer
	command := exec.Command(name, arguments...)
	command.Stdout, command.Stderr = &out, &said
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := command.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(arguments, " "), err, bytes.TrimSpace(said.Bytes()))
	}
	return out.String(), nil
}

func stderrOf(err error) []byte {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.Stderr
	}
	return nil
}
