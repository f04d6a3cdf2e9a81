//go:build unix

package stream

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// peek asks the kernel what an idle connection has to say. Its closure is made
// once: one at each look would allocate.
type peek struct {
	raw   syscall.RawConn
	look  func(fd uintptr) bool
	fds   [1]unix.PollFd
	quiet bool
}

func (p *peek) prepare(nc net.Conn) {
	sc, ok := underTLS(nc).(syscall.Conn)
	if !ok {
		return
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return
	}
	p.raw, p.look = raw, func(fd uintptr) bool {
		p.fds[0] = unix.PollFd{Fd: int32(fd), Events: unix.POLLIN}
		n, err := unix.Poll(p.fds[:], 0)
		p.quiet = n == 0 && err == nil
		return true
	}
}

// Alive tells whether an idle upstream connection is still open and has nothing
// to say. It does not wait.
func (c *Conn) Alive() bool {
	if c.end != nil || len(c.Bytes()) > 0 {
		return false
	}
	if c.peek.raw == nil {
		return true
	}
	c.peek.quiet = false
	return c.peek.raw.Read(c.peek.look) == nil && c.peek.quiet
}
