//go:build !linux

package main

import (
	"os"
	"syscall"
)

// The benchmark refuses to run on other systems; these let it compile there.

func own() *syscall.SysProcAttr { return nil }

func signalGroup(pid int, s syscall.Signal) error {
	p, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	return p.Signal(s)
}
