//go:build integration

package compose_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	largest    = 40_000_000 // bytes
	recordFile = "image-size"
)

func TestTheImageIsSmallAndDoesNotGrowUnseen(t *testing.T) {
	size := inspectInt(t, bench.outrider, "{{.Size}}")
	text, err := os.ReadFile(recordFile)
	if err != nil {
		t.Fatal(err)
	}
	of, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("size of the image: %.1f MB, of record: %.1f MB\n", float64(size)/1e6, float64(of)/1e6)
	if size > largest {
		t.Errorf("the image has %d bytes, %d at most are allowed", size, largest)
	}
	if size > of+of/10 {
		t.Errorf("the image has %d bytes, over 10 %% more than the %d of record: is that meant? Then write it into integration/compose/%s, and why into the commit", size, of, recordFile)
	}
}

func TestTheImageSaysHowItIsToBeRun(t *testing.T) {
	var is struct {
		Config struct {
			User, WorkingDir string
			Entrypoint, Cmd  []string
			Labels           map[string]string
			Healthcheck      struct {
				Test                           []string
				Interval, Timeout, StartPeriod time.Duration
			}
		}
	}
	if err := json.Unmarshal([]byte(inspect(t, bench.outrider, "{{json .}}")), &is); err != nil {
		t.Fatal(err)
	}
	c := is.Config
	if c.User != "65532:65532" || c.WorkingDir != "/etc/outrider" || !slices.Equal(c.Entrypoint, []string{"/outrider"}) || !slices.Equal(c.Cmd, []string{"run"}) {
		t.Errorf("it is run so: %+v", c)
	}
	if h := c.Healthcheck; !slices.Equal(h.Test, []string{"CMD", "/outrider", "healthcheck"}) || h.Interval != 2*time.Second || h.StartPeriod <= 0 {
		t.Errorf("its health is looked at so: %+v", h)
	}
	for _, label := range []string{"title", "description", "licenses", "version", "revision"} {
		if _, written := c.Labels["org.opencontainers.image."+label]; !written {
			t.Errorf("it has no label %s: %v", label, c.Labels)
		}
	}
}

func TestTheImageHoldsTheProgramAndCertificatesAlone(t *testing.T) {
	program := fromImage(t)
	want := []string{"/etc/ssl/certs/ca-certificates.crt", "/outrider"}
	if got := slices.Sorted(maps.Keys(program)); !slices.Equal(got, want) {
		t.Errorf("it holds %v, want %v", got, want)
	}
}

// Whoever has the same Go and the same source gets the same program, wherever it is built.
func TestTheImageCanBeBuiltAgain(t *testing.T) {
	inImage := fromImage(t)["/outrider"]
	info, err := buildinfo.Read(bytes.NewReader(inImage))
	if err != nil {
		t.Fatal(err)
	}
	again := filepath.Join(t.TempDir(), "outrider")
	build := exec.Command("go", "build", "-o", again, "./sidecar")
	build.Dir = bench.top
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOTOOLCHAIN="+info.GoVersion,
		"GOFLAGS=-trimpath -buildvcs=false '-ldflags=-s -w -buildid= -X main.release='")
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	here, err := os.ReadFile(again)
	if err != nil {
		t.Fatal(err)
	}
	if a, b := sha256.Sum256(inImage), sha256.Sum256(here); a != b {
		t.Errorf("the image holds %x, built here by the same Go it is %x", a, b)
	}
}

func TestTheDemoRunsInAContainerThatMayDoNothing(t *testing.T) {
	name := runContainer(t, "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--user", "1234:1234",
		"--publish", "127.0.0.1:0:6188", bench.outrider, "demo")
	published, err := try("docker", "port", name, "6188/tcp")
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + strings.TrimSpace(published)
	eventually(t, "the demo answers", func() bool { return ask(url + "/one/").fine() })
	if a := ask(url + "/one/"); !strings.Contains(a.body, `"backend": "one-`) {
		t.Errorf("it answers %v", a)
	}
	eventually(t, "docker finds it healthy", func() bool { return inspect(t, name, "{{.State.Health.Status}}") == "healthy" })
}

func TestHoldEndsAtOnceAsProcessOne(t *testing.T) {
	name := runContainer(t, "--read-only", bench.outrider, "hold")
	eventually(t, "it holds", func() bool {
		logs, err := try("docker", "logs", name)
		return err == nil && strings.Contains(logs, "holding")
	})
	began := time.Now()
	if _, err := try("docker", "stop", "--time", "20", name); err != nil {
		t.Fatal(err)
	}
	if code := inspectInt(t, name, "{{.State.ExitCode}}"); code != 0 || time.Since(began) > 10*time.Second {
		t.Errorf("told to stop, it exits with %d after %v", code, time.Since(began))
	}
}

// runContainer starts a container that goes with the test, and is its name.
func runContainer(t *testing.T, arguments ...string) string {
	t.Helper()
	name := fmt.Sprintf("%s%d-%d", marked, os.Getpid(), bench.projects.Add(1))
	t.Cleanup(func() { _, _ = try("docker", "rm", "--force", "--volumes", name) })
	if _, err := try("docker", append([]string{"run", "--detach", "--name", name}, arguments...)...); err != nil {
		t.Fatal(err)
	}
	return name
}

// fromImage is the content of every file that is not empty: the engine makes empty
// ones where it will mount something.
func fromImage(t *testing.T) map[string][]byte {
	t.Helper()
	name := fmt.Sprintf("%s%d-%d", marked, os.Getpid(), bench.projects.Add(1))
	if _, err := try("docker", "create", "--name", name, bench.outrider); err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = try("docker", "rm", name) }()
	exported, err := try("docker", "export", name)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for archive := tar.NewReader(strings.NewReader(exported)); ; {
		head, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if content, _ := io.ReadAll(archive); len(content) > 0 {
			files["/"+strings.TrimPrefix(head.Name, "/")] = content
		}
	}
}

func inspect(t *testing.T, what, format string) string {
	t.Helper()
	text, err := try("docker", "inspect", "--format", format, what)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(text)
}

func inspectInt(t *testing.T, what, format string) int {
	t.Helper()
	n, err := strconv.Atoi(inspect(t, what, format))
	if err != nil {
		t.Fatal(err)
	}
	return n
}
