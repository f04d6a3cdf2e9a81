package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
)

// machine is where the figures come from.
type machine struct {
	cpu    string
	cores  []int // that we may use
	kernel string
}

func thisMachine(proc procfs) (machine, error) {
	cores, err := proc.cores()
	if err != nil {
		return machine{}, err
	}
	kernel, err := os.ReadFile(string(proc) + "/sys/kernel/osrelease")
	if err != nil {
		return machine{}, fmt.Errorf("read the kernel's version: %w", err)
	}
	cpus, err := os.ReadFile(string(proc) + "/cpuinfo")
	if err != nil {
		return machine{}, fmt.Errorf("read the CPU's model: %w", err)
	}
	model, ok := field(string(cpus), "model name")
	if !ok {
		model = runtime.GOARCH // arm64 has no name there
	}
	return machine{cpu: model, cores: cores, kernel: strings.TrimSpace(string(kernel))}, nil
}

// layout says which cores the proxy gets and which its backend and the load generator.
type layout struct {
	proxy, load []int
}

// divide gives the proxy the last cores, since the first ones take most interrupts, and the load the others.
// When that leaves the load none, both use all cores.
func divide(cores []int, workers int) layout {
	if workers >= len(cores) {
		return layout{proxy: cores, load: cores}
	}
	split := len(cores) - workers
	return layout{proxy: cores[split:], load: cores[:split]}
}

func (l layout) shared() bool { return len(l.proxy) == 0 || l.proxy[0] == l.load[0] }
