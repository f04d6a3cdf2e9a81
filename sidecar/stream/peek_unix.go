//go:build unix

package stream

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// peek asks the kernel whether a connection is still open and has nothing to say.
// Its closure is made once: one at each look would allocate.
type peek struct {
	raw    syscall.RawConn
	look   func(fd uintptr)
	fds    [1]unix.PollFd
	silent bool
}

func (p *peek) prepare(nc net.Conn) {
	if p.raw != nil {
		return
	}
	sc, ok := underTLS(nc).(syscall.Conn)
	if !ok {
		return
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return
	}
	p.raw, p.look = raw, func(fd uintptr) {
		p.fds[0] = unix.PollFd{Fd: int32(fd), Events: unix.POLLIN}
		n, err := unix.Poll(p.fds[:], 0)
		p.silent = n == 0 && err == nil
	}
}

func (p *peek) quiet() bool {
	if p.raw == nil {
		return true
	}
	p.silent = false
	return p.raw.Control(p.look) == nil && p.silent // unlike Read, past any deadline
}
