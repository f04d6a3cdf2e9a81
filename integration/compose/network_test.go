//go:build integration

package compose_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// network is the network of the project.
func (s *shop) network() string { return s.project + "_default" }

// address is where a service is on it.
func (s *shop) address(service string) string {
	s.t.Helper()
	format := fmt.Sprintf(`{{(index .NetworkSettings.Networks %q).IPAddress}}`, s.network())
	return inspect(s.t, s.id(service), format)
}

// filter runs iptables inside the network of a service: by a container beside it, since
// neither apps nor sidecars have the means.
func (s *shop) filter(service string, arguments ...string) {
	s.t.Helper()
	words := append([]string{"run", "--rm", "--network", "container:" + s.id(service), "--cap-add", "NET_ADMIN", "--cap-add", "NET_RAW",
		iptablesImage(s.t), "iptables"}, arguments...)
	if _, err := try("docker", words...); err != nil {
		s.t.Fatal(err)
	}
}

// iptablesImage is an image with iptables: the one in IPTABLES_IMAGE, or one that is
// made of this machine's own.
func iptablesImage(t *testing.T) string {
	t.Helper()
	if named := os.Getenv("IPTABLES_IMAGE"); named != "" {
		return named
	}
	image := fmt.Sprintf("%s%d:iptables", marked, os.Getpid())
	if runs("docker", "image", "inspect", image) {
		return image
	}
	files, err := partsOf("iptables")
	if err != nil {
		t.Fatalf("%v; name an image that has iptables in IPTABLES_IMAGE", err)
	}
	pack := exec.Command("tar", append([]string{"--create", "--dereference", "--absolute-names", "--file", "-"}, files...)...)
	packed, err := pack.Output()
	if err != nil {
		t.Fatalf("%s: %v: %s", strings.Join(pack.Args, " "), err, stderrOf(err))
	}
	load := exec.Command("docker", "import", "--change", "ENV PATH=/usr/sbin:/sbin:/usr/bin:/bin", "-", image)
	load.Stdin = bytes.NewReader(packed)
	if text, err := load.CombinedOutput(); err != nil {
		t.Fatalf("docker import: %v: %s", err, text)
	}
	return image
}

// partsOf are the files that a program of this machine needs: itself, the libraries
// that it is linked to, and iptables' extensions.
func partsOf(program string) ([]string, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		return nil, err
	}
	extensions, err := filepath.Glob("/usr/lib/*/xtables/*.so")
	if err == nil && len(extensions) == 0 {
		err = errors.New("iptables has no extensions here")
	}
	if err != nil {
		return nil, err
	}
	files := append(extensions, path)
	linked, err := exec.Command("ldd", files...).Output()
	if err != nil {
		return nil, fmt.Errorf("ldd %s: %w", path, err)
	}
	for word := range strings.FieldsSeq(string(linked)) {
		if strings.HasPrefix(word, "/") && !strings.HasSuffix(word, ":") && !slices.Contains(files, word) {
			files = append(files, word)
		}
	}
	return files, nil
}
