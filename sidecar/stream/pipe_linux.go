package stream

import (
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Pipe carries bytes from one connection to another inside the kernel
// (splice(2)): they are never copied to our memory and back, which for long
// bodies is half of what they cost. It is filled by one task, and emptied by the
// same one before it is filled again.
type Pipe struct {
	loop *Loop
	r, w int
	size int64 // what it can hold, in bytes
	held int   // bytes that are in it
}

// pipes keep the pipes that nobody uses at the moment. The zero value is ready.
type pipes struct {
	mu     sync.Mutex // guards what follows
	free   []*Pipe
	closed bool
}

// usualPipe is what a pipe can hold, in bytes, unless its user has very many of
// them (Linux, pipe(7)).
const usualPipe = 64 << 10

// maxFreePipes bounds the pipes, of two descriptors each, that are kept.
const maxFreePipes = 32

// LendPipe lends a pipe from one connection to another, to be released by the
// caller. What it can hold counts as lent until then. Nil: bytes between these
// two have to pass through memory, because one of them is not a descriptor in the
// poller, there are no descriptors left, or a pipe would not fit into the bound
// (Loop.Bound), of which a buffer takes less.
func (l *Loop) LendPipe(from, to *Conn) *Pipe {
	_, reads := from.transport.(*polled)
	_, writes := to.transport.(*polled)
	if !reads || !writes || !l.room.fits(usualPipe) {
		return nil
	}
	p := l.pipes.take()
	if p == nil {
		p = l.newPipe()
	}
	if p != nil {
		l.buffers.lent.Add(p.size)
	}
	return p
}

func (l *Loop) newPipe() *Pipe {
	var ends [2]int
	if unix.Pipe2(ends[:], unix.O_NONBLOCK|unix.O_CLOEXEC) != nil {
		return nil
	}
	size, err := unix.FcntlInt(uintptr(ends[0]), unix.F_GETPIPE_SZ, 0)
	if err != nil {
		size = usualPipe
	}
	return &Pipe{loop: l, r: ends[0], w: ends[1], size: int64(size)}
}

// take takes a free pipe; nil when there is none.
func (ps *pipes) take() *Pipe {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	last := len(ps.free) - 1
	if last < 0 {
		return nil
	}
	p := ps.free[last]
	ps.free = ps.free[:last]
	return p
}

// Release gives the pipe back, and drops what is left in it.
func (p *Pipe) Release() {
	p.loop.buffers.lent.Add(-p.size)
	ps := &p.loop.pipes
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if p.held > 0 || ps.closed || len(ps.free) >= maxFreePipes {
		p.close()
		return
	}
	ps.free = append(ps.free, p)
}

func (p *Pipe) close() {
	_ = unix.Close(p.r)
	_ = unix.Close(p.w)
}

// close closes the pipes that are free, and the others when they are released.
func (ps *pipes) close() {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.closed = true
	for _, p := range ps.free {
		p.close()
	}
	ps.free = nil
}

// FillPipe is Fill into a pipe: it waits for bytes, and moves at most limit of
// them. Nothing may be left in Bytes, nor in the pipe.
func (c *Conn) FillPipe(p *Pipe, limit int64, other *Conn) (int, error) {
	if c.end != nil {
		return 0, c.end
	}
	n, err := c.transport.(*polled).readInto(vessel{pipe: p, limit: limit}, other)
	return n, c.filled(0, err)
}

// WritePipe is Write of all that a pipe holds.
func (c *Conn) WritePipe(p *Pipe) error {
	return c.transport.(*polled).writeFrom(&vessel{pipe: p})
}

// vessel is what bytes are read into or written from: memory, or a pipe.
type vessel struct {
	memory []byte
	pipe   *Pipe
	limit  int64 // of what a pipe takes
}

func (v vessel) read(fd int) (n int, errno syscall.Errno) {
	if v.pipe == nil {
		return readFD(fd, v.memory)
	}
	n, errno = spliceFD(fd, v.pipe.w, v.limit)
	v.pipe.held += n
	return n, errno
}

// full tells whether there may be more to read than the n bytes that were. What
// a pipe can take is known to the kernel alone.
func (v vessel) full(n int) bool {
	if v.pipe == nil {
		return n == len(v.memory)
	}
	return n > 0
}

func (v *vessel) write(fd int) (n int, errno syscall.Errno) {
	if v.pipe == nil {
		n, errno = writeFD(fd, v.memory)
		v.memory = v.memory[n:]
		return n, errno
	}
	n, errno = spliceFD(v.pipe.r, fd, int64(v.pipe.held))
	v.pipe.held -= n
	return n, errno
}

func (v *vessel) left() int {
	if v.pipe == nil {
		return len(v.memory)
	}
	return v.pipe.held
}
