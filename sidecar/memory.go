package main

import (
	"io/fs"
	"math"
	"os"
	"path"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"

	"github.com/sirupsen/logrus"
)

// collectBelow is the share of the memory limit that the garbage collector keeps
// the process under; the rest is for what the runtime does not count.
const collectBelow = 85 // percent

// keepBelowLimit tells the garbage collector about the container's memory limit,
// which the runtime does not ask for by itself. The result is the memory there
// is, in bytes: the limit, else the machine's; 0 when nobody tells. GOMEMLIMIT in the environment has the last word.
func keepBelowLimit(log logrus.FieldLogger) int64 {
	limit := memoryLimit(os.DirFS("/"))
	switch goal := os.Getenv("GOMEMLIMIT"); {
	case goal != "":
		log.WithFields(logrus.Fields{"GOMEMLIMIT": goal, "limit": limit}).Info("memory is kept below GOMEMLIMIT")
	case limit > 0:
		debug.SetMemoryLimit(limit / 100 * collectBelow)
		log.WithFields(logrus.Fields{"limit": limit, "goal": limit / 100 * collectBelow}).Info("memory is kept below the container's limit")
	}
	if limit == 0 {
		return machineMemory(os.DirFS("/"))
	}
	return limit
}

// machineMemory is the machine's memory in bytes (Linux, proc_meminfo(5)); 0
// where it is not told.
func machineMemory(root fs.FS) int64 {
	text, err := fs.ReadFile(root, "proc/meminfo")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, found := strings.CutPrefix(line, "MemTotal:"); found {
			n, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return n << 10
		}
	}
	return 0
}

// memoryLimit is the least of the memory limits of our control group and those
// around it, as far as they can be seen from here; 0 without one. Both versions
// of cgroups are asked (Linux, cgroups(7)).
func memoryLimit(root fs.FS) int64 {
	groups, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return 0
	}
	least := int64(math.MaxInt64)
	for line := range strings.Lines(string(groups)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		switch controllers := strings.Split(parts[1], ","); {
		case parts[1] == "":
			least = min(least, leastUpwards(root, "sys/fs/cgroup", parts[2], "memory.max"))
		case slices.Contains(controllers, "memory"):
			least = min(least, leastUpwards(root, "sys/fs/cgroup/memory", parts[2], "memory.limit_in_bytes"))
		}
	}
	if least >= unlimited {
		return 0
	}
	return least
}

// unlimited is above every machine's memory: version 1 writes a number near the
// largest where there is no limit.
const unlimited = 1 << 60

// leastUpwards is the least limit of a group and those that it is in. Inside a
// container the group's own path may not be there, and the root is its limit.
func leastUpwards(root fs.FS, top, group, file string) int64 {
	least := int64(math.MaxInt64)
	for at := path.Join("/", group); ; at = path.Dir(at) {
		if text, err := fs.ReadFile(root, path.Join(top, at, file)); err == nil {
			if n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && n > 0 {
				least = min(least, n)
			}
		}
		if at == "/" {
			return least
		}
	}
}
