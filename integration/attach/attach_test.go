package attach_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

var binary string // the real program

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "attach")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "outrider")
	build := exec.Command("go", "build", "-o", binary, "./sidecar")
	build.Dir = filepath.Join("..", "..")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the sidecar: %v\n%s", err, text)
		return 1
	}
	return m.Run()
}

// projects are compose files of users; a sidecar is attached to shop, port 3000.
func projects() map[string]string {
	return map[string]string{
		"nothing but an image": `
services:
  shop: { image: shop }
`,
		"published ports and another service": `
version: "2.4"
services:
  shop:
    build: .
    ports: ["8080:3000", "127.0.0.1:9229:9229"]
    depends_on: [orders]
    environment: { ORDERS_URL: "http://127.0.0.1:6188" }
  orders: { image: orders }
`,
		"networks, names and hosts": `
version: "3.8"
services:
  shop:
    image: shop
    container_name: the-shop
    hostname: shop-1
    dns: [10.0.0.53]
    extra_hosts: ["db:10.0.0.1"]
    expose: ["3000"]
    ports: ["${SHOP_PORT:-8080}:3000"]
    networks: { front: , back: { aliases: [store] } }
    links: [orders]
    profiles: [web]
  orders: { image: orders, networks: [back] }
networks: { front: , back: }
`,
		"anchors": `
x-base: &base
  restart: always
  ports: ["25:25", "80:3000"]
services:
  shop:
    <<: *base
    image: shop
`,
	}
}

func TestComposeReadsTheOverride(t *testing.T) {
	for name, project := range projects() {
		for _, form := range [][]string{nil, {"--compose-v1"}} {
			t.Run(strings.Join(append([]string{name}, form...), " "), func(t *testing.T) {
				dir := attached(t, "compose.yaml", project, form...)
				p := load(t, dir)
				shop, sidecar := p.Services["shop"], p.Services["shop-outrider"]
				if len(shop.Profiles) != len(sidecar.Profiles) {
					t.Errorf("profiles %q and %q", shop.Profiles, sidecar.Profiles)
				}
				if v := sidecar.Volumes; len(v) != 1 || v[0].Target != "/etc/outrider" || v[0].Source != filepath.Join(dir, "outrider", "shop") {
					t.Errorf("the sidecar's configuration is mounted from %v", v)
				}
				if sidecar.NetworkMode == "service:shop" {
					return // nothing of the service has changed
				}
				holder := p.Services["shop-network"]
				if shop.NetworkMode != "service:shop-network" || sidecar.NetworkMode != shop.NetworkMode {
					t.Errorf("network modes %q and %q", shop.NetworkMode, sidecar.NetworkMode)
				}
				if len(shop.Ports)+len(shop.Networks)+len(shop.Expose)+len(shop.DNS)+len(shop.ExtraHosts)+len(shop.Links) > 0 || shop.Hostname != "" {
					t.Errorf("the engine refuses this for who joins a network: %+v", shop)
				}
				for network, c := range holder.Networks {
					if c == nil || !slices.Contains(c.Aliases, "shop") || !slices.Contains(c.Aliases, "outrider") {
						t.Errorf("in the network %s nobody answers for shop and outrider", network)
					}
				}
			})
		}
	}
}

// TestNothingIsLostWithTheHolder compares the service before with its holder after.
func TestNothingIsLostWithTheHolder(t *testing.T) {
	for name, project := range projects() {
		t.Run(name, func(t *testing.T) {
			dir := attached(t, "compose.yaml", project)
			after := load(t, dir).Services["shop-network"]
			if err := os.Remove(filepath.Join(dir, "compose.override.yaml")); err != nil {
				t.Fatal(err)
			}
			before := load(t, dir).Services["shop"]
			if a, b := published(before), published(after); !slices.Equal(a, b) {
				t.Errorf("published %q, then %q", a, b)
			}
			for network := range before.Networks {
				if _, kept := after.Networks[network]; !kept {
					t.Errorf("the network %s is lost", network)
				}
			}
			if before.Hostname != after.Hostname || !slices.Equal(before.DNS, after.DNS) || len(before.ExtraHosts) != len(after.ExtraHosts) {
				t.Errorf("%+v\nbecame %+v", before, after)
			}
		})
	}
}

func published(s types.ServiceConfig) []string {
	var ports []string
	for _, p := range s.Ports {
		ports = append(ports, p.HostIP+":"+p.Published)
	}
	return ports
}

func TestTheCommandReadsTheOverride(t *testing.T) {
	version, err := exec.Command("docker-compose", "version", "--short").Output()
	if err != nil {
		t.Fatalf("docker-compose: %v (as root on Debian: integration/needs.sh docker-compose)", err)
	}
	var form []string
	if strings.HasPrefix(string(version), "1.") {
		form = []string{"--compose-v1"}
	}
	for name, project := range projects() {
		for _, file := range []string{"compose.yaml", "docker-compose.yml"} {
			t.Run(name+", "+file, func(t *testing.T) {
				command := exec.Command("docker-compose", "--profile", "web", "config")
				command.Dir = attached(t, file, project, form...)
				text, err := command.CombinedOutput()
				if err != nil || !strings.Contains(string(text), "shop-outrider:") {
					t.Errorf("%v\n%s", err, text)
				}
			})
		}
	}
}

// attached is a folder with the compose file, and what was written beside it.
func attached(t *testing.T, file, project string, form ...string) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, file), []byte(project), 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.Command(binary, append([]string{"init", "--compose", "shop:3000"}, form...)...)
	command.Dir = dir
	if text, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return dir
}

// load is the project as docker compose in the folder sees it.
func load(t *testing.T, dir string) *types.Project {
	t.Helper()
	o, err := cli.NewProjectOptions(nil, cli.WithWorkingDirectory(dir), cli.WithDefaultConfigPath, cli.WithName("attached"), cli.WithProfiles([]string{"*"}))
	if err != nil {
		t.Fatal(err)
	}
	p, err := o.LoadProject(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return p
}
