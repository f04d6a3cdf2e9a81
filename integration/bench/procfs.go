package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// clockTick is the unit of utime and stime in /proc/PID/stat: USER_HZ is 100 wherever Go runs on Linux.
const clockTick = 10 * time.Millisecond

// procfs is the folder where the kernel tells about processes: /proc (proc(5)).
type procfs string

// usage is the CPU time, user and system, that a set of processes has used so far.
type usage struct {
	clock   time.Duration         // of all threads, also of those that ended; in clock ticks
	threads map[int]time.Duration // of each thread that lives, by its id; in nanoseconds
}

// since returns what was used after an earlier reading of the same processes. The threads tell it exactly,
// unless the kernel has no figures for them, or one ended in between and took its figure with it: then the
// clock answers.
func (after usage) since(before usage) time.Duration {
	if len(after.threads) == 0 {
		return after.clock - before.clock
	}
	for id := range before.threads {
		if _, lives := after.threads[id]; !lives {
			return after.clock - before.clock
		}
	}
	var used time.Duration
	for id, now := range after.threads {
		used += now - before.threads[id]
	}
	return used
}

// usage reads the CPU time of the processes.
func (p procfs) usage(pids []int) (usage, error) {
	sum := usage{threads: make(map[int]time.Duration)}
	for _, pid := range pids {
		stat, err := p.stat(pid)
		if err != nil {
			return usage{}, err
		}
		sum.clock += stat.cpu
		if err := p.threads(pid, sum.threads); err != nil {
			return usage{}, err
		}
	}
	return sum, nil
}

// threads adds the CPU time of each thread of the process. A kernel without schedstat leaves the map as it is.
func (p procfs) threads(pid int, used map[int]time.Duration) error {
	tasks, err := os.ReadDir(p.path(pid, "task"))
	if err != nil {
		return fmt.Errorf("read the threads of process %d: %w", pid, err)
	}
	for _, task := range tasks {
		id, err := strconv.Atoi(task.Name())
		if err != nil {
			return fmt.Errorf("read the threads of process %d: %w", pid, err)
		}
		text, err := os.ReadFile(p.path(pid, "task", task.Name(), "schedstat"))
		if gone(err) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read the CPU time of thread %d: %w", id, err)
		}
		if used[id], err = parseSchedstat(string(text)); err != nil {
			return fmt.Errorf("read the CPU time of thread %d: %w", id, err)
		}
	}
	return nil
}

// tree returns the pid itself and those of all its descendants, in ascending order.
func (p procfs) tree(root int) ([]int, error) {
	names, err := filepath.Glob(filepath.Join(string(p), "[0-9]*"))
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	children := make(map[int][]int)
	for _, name := range names {
		pid, err := strconv.Atoi(filepath.Base(name))
		if err != nil {
			continue
		}
		stat, err := p.stat(pid)
		if gone(err) {
			continue // others come and go meanwhile
		}
		if err != nil {
			return nil, err
		}
		children[stat.parent] = append(children[stat.parent], pid)
	}
	pids := []int{root}
	for i := 0; i < len(pids); i++ {
		pids = append(pids, children[pids[i]]...)
	}
	slices.Sort(pids)
	return pids, nil
}

// resident returns the bytes of memory that the processes hold; a page that two of them share counts twice.
func (p procfs) resident(pids []int) (int64, error) {
	var sum int64
	for _, pid := range pids {
		text, err := os.ReadFile(p.path(pid, "status"))
		if err != nil {
			return 0, fmt.Errorf("read the memory of process %d: %w", pid, err)
		}
		held, err := parseResident(string(text))
		if err != nil {
			return 0, fmt.Errorf("read the memory of process %d: %w", pid, err)
		}
		sum += held
	}
	return sum, nil
}

// cores returns the ids of the cores that this program may run on.
func (p procfs) cores() ([]int, error) {
	text, err := os.ReadFile(filepath.Join(string(p), "self", "status"))
	if err != nil {
		return nil, fmt.Errorf("read which cores we may use: %w", err)
	}
	list, ok := field(string(text), "Cpus_allowed_list")
	if !ok {
		return nil, errors.New("read which cores we may use: no Cpus_allowed_list in /proc/self/status")
	}
	return parseCores(list)
}

func (p procfs) stat(pid int) (stat, error) {
	text, err := os.ReadFile(p.path(pid, "stat"))
	if err != nil {
		return stat{}, fmt.Errorf("read process %d: %w", pid, err)
	}
	s, err := parseStat(string(text))
	if err != nil {
		return stat{}, fmt.Errorf("read process %d: %w", pid, err)
	}
	return s, nil
}

func (p procfs) path(pid int, names ...string) string {
	return filepath.Join(append([]string{string(p), strconv.Itoa(pid)}, names...)...)
}

// gone says whether a process or thread ended, or the kernel has no such file.
func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH)
}

// stat is what we use of /proc/PID/stat.
type stat struct {
	parent int
	cpu    time.Duration // utime + stime of all threads
}

// parseStat reads fields 4, 14 and 15. The second is the program's name in parentheses, in which anything
// may occur, also blanks and parentheses.
func parseStat(text string) (stat, error) {
	const parent, utime, stime = 4 - 3, 14 - 3, 15 - 3 // the rest begins with field 3
	end := strings.LastIndexByte(text, ')')
	if end < 0 {
		return stat{}, fmt.Errorf("stat has no name in parentheses: %q", text)
	}
	rest := strings.Fields(text[end+1:])
	if len(rest) <= stime {
		return stat{}, fmt.Errorf("stat has too few fields: %q", text)
	}
	var s stat
	var err error
	if s.parent, err = strconv.Atoi(rest[parent]); err != nil {
		return stat{}, fmt.Errorf("stat: parent: %w", err)
	}
	for _, i := range []int{utime, stime} {
		ticks, err := strconv.ParseInt(rest[i], 10, 64)
		if err != nil {
			return stat{}, fmt.Errorf("stat: CPU time: %w", err)
		}
		s.cpu += time.Duration(ticks) * clockTick
	}
	return s, nil
}

// parseSchedstat reads the first number of a schedstat file: nanoseconds on a CPU.
func parseSchedstat(text string) (time.Duration, error) {
	first, _, _ := strings.Cut(strings.TrimSpace(text), " ")
	spent, err := strconv.ParseInt(first, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("schedstat: %w", err)
	}
	return time.Duration(spent), nil
}

// parseResident reads VmRSS, in bytes, from a status file.
func parseResident(text string) (int64, error) {
	value, ok := field(text, "VmRSS")
	if !ok {
		return 0, errors.New("status has no VmRSS: the process has ended")
	}
	kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(value, "kB")), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("status: VmRSS: %w", err)
	}
	return kib * 1024, nil
}

// parseCores reads a list such as "0-3,8".
func parseCores(list string) ([]int, error) {
	var cores []int
	for part := range strings.SplitSeq(strings.TrimSpace(list), ",") {
		from, to, isRange := strings.Cut(part, "-")
		if !isRange {
			to = from
		}
		first, err := strconv.Atoi(from)
		if err != nil {
			return nil, fmt.Errorf("list of cores %q: %w", list, err)
		}
		last, err := strconv.Atoi(to)
		if err != nil {
			return nil, fmt.Errorf("list of cores %q: %w", list, err)
		}
		for core := first; core <= last; core++ {
			cores = append(cores, core)
		}
	}
	return cores, nil
}

// field returns the value of the first line "name: value", as in /proc/PID/status and /proc/cpuinfo.
func field(text, name string) (string, bool) {
	for line := range strings.Lines(text) {
		key, value, ok := strings.Cut(line, ":")
		if ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value), true
		}
	}
	return "", false
}
