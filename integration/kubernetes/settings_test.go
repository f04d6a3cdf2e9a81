package kubernetes_test

import (
	"net"
	"strconv"
	"testing"
	"time"

	"sigs.k8s.io/yaml"
)

// settings is what the pod has to agree with in the ConfigMap's outrider.yaml.
type settings struct {
	App    string
	Listen []struct{ Name, Address, Cluster string }
	Script struct{ File, Tests string }
	Gossip struct {
		Advertise  string
		Join       []string
		SecretFile string `json:"secret_file"`
	}
	StateDir string `json:"state_dir"`
	Status   struct{ Listen string }
	Shutdown struct{ Drain, Grace string }
}

func (m *manifests) settings(t *testing.T) settings {
	t.Helper()
	var s settings
	if err := yaml.Unmarshal([]byte(m.config.Data["outrider.yaml"]), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func port(t *testing.T, address string) int32 {
	t.Helper()
	_, text, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	return int32(n)
}

func duration(t *testing.T, text string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
