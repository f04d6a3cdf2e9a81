package kubernetes_test

import (
	"strings"
	"testing"
)

func TestCommandsAreThoseOfTheProgram(t *testing.T) {
	m := build(t)
	command := m.sidecar().Lifecycle.PreStop.Exec.Command
	if command[0] != "/outrider" {
		t.Errorf("the image has no %s", command[0])
	}
	told := outrider(t, t.TempDir(), nil, command[1], "--help")
	if !strings.Contains(told, "outrider "+command[1]) || !strings.Contains(told, command[2]+" ") {
		t.Errorf("%q is not what the program knows:\n%s", command, told)
	}
}
