package main

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// patience is how long a process may take to end after it was asked to.
const patience = 5 * time.Second

// process is a server that runs on given cores until it is stopped, with the processes it starts itself.
type process struct {
	name    string
	log     string // file with all that it printed
	command *exec.Cmd
	ended   chan struct{} // closed when it has ended
}

// launch says how to start a process.
type launch struct {
	name      string
	path      string
	arguments []string
	cores     []int
	log       string
	env       []string // on top of PATH and HOME
	stdin     *os.File // nil: nothing to read
	stdout    *os.File // nil: the log
}

func start(l launch) (*process, error) {
	log, err := os.Create(l.log)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", l.name, err)
	}
	defer log.Close()

	// taskset binds itself and then becomes the program: the pid stays.
	command := exec.Command("taskset", append([]string{"-c", listOf(l.cores), l.path}, l.arguments...)...)
	command.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}, l.env...)
	command.SysProcAttr = own()
	command.Stderr = log
	command.Stdout = log
	if l.stdout != nil {
		command.Stdout = l.stdout
	}
	if l.stdin != nil {
		command.Stdin = l.stdin
	}
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", l.name, err)
	}
	p := &process{name: l.name, log: l.log, command: command, ended: make(chan struct{})}
	go func() {
		defer close(p.ended)
		_ = command.Wait() // how it ended is asked of ProcessState, by those who care
	}()
	return p, nil
}

func (p *process) pid() int { return p.command.Process.Pid }

// lastWords are the last lines of the log, as the end of an error message; empty when nothing was printed.
func (p *process) lastWords() string {
	text, err := os.ReadFile(p.log)
	if err != nil || len(text) == 0 {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return "\nit printed:\n" + strings.Join(lines[max(0, len(lines)-10):], "\n")
}

// stop ends the process and those it started: it asks, and after some patience no longer asks. It returns
// when the process has ended; an error means that it had ended before, or did not end when asked.
func (p *process) stop() error {
	select {
	case <-p.ended:
		return fmt.Errorf("%s ended by itself: %v", p.name, p.command.ProcessState)
	default:
	}
	// Only the process itself is asked: nginx's master ends its workers.
	_ = p.command.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
		return nil
	case <-time.After(patience):
	}
	_ = signalGroup(p.pid(), syscall.SIGKILL)
	<-p.ended
	return fmt.Errorf("%s did not end within %v of being asked, and was killed", p.name, patience)
}

// listOf formats cores as taskset and /proc do: "0,1".
func listOf(cores []int) string {
	var words []string
	for _, core := range cores {
		words = append(words, strconv.Itoa(core))
	}
	return strings.Join(words, ",")
}
