package attach_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Both kinds of compose read the compose file of this repository.
func TestBothComposesReadOurOwnFile(t *testing.T) {
	top, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	own := load(t, top)
	for _, pair := range []string{"a", "b", "c"} {
		holder := own.Services["pair-"+pair]
		if holder.NetworkMode != "" || len(holder.Ports) == 0 {
			t.Errorf("pair-%s does not own its network and ports: %q %v", pair, holder.NetworkMode, holder.Ports)
		}
		for _, port := range holder.Ports {
			if port.HostIP != "127.0.0.1" {
				t.Errorf("pair-%s publishes %v beyond this machine", pair, port)
			}
		}
		for _, name := range []string{"app-", "sidecar-"} {
			if joined := own.Services[name+pair]; joined.NetworkMode != "service:pair-"+pair || !joined.ReadOnly {
				t.Errorf("%s%s: network %q, read-only %v", name, pair, joined.NetworkMode, joined.ReadOnly)
			}
		}
	}
	command := exec.Command("docker-compose", "--file", filepath.Join(top, "docker-compose.yml"), "config", "--services")
	text, err := command.Output()
	if err != nil {
		t.Fatalf("docker-compose: %v", err)
	}
	if listed := strings.Fields(string(text)); len(listed) != len(own.Services) {
		t.Errorf("docker-compose reads %v, Docker Compose 2 %d services", listed, len(own.Services))
	}
}
