package stream

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The contract between the poller and the tasks.
//
// Every descriptor is in one epoll, edge-triggered, for its whole life. The
// poller turns an event into flags of the connection first, and wakes somebody
// then; a task announces that it waits first, and looks at the flags once more
// then. So whichever comes first, nothing is missed.
//
//   - readable: an edge has come since the task last cleared the flag. A task
//     clears it right before it reads, and sets it again when it has read all
//     that it had room for, or when an end has been seen: no new edge tells of
//     what was there already.
//   - writable: the same. A task that could not write clears it, and writes once
//     more if it was set: that edge may be older than the attempt, or newer.
//   - finished, broken: the other end has sent its FIN, or nothing goes either
//     way any more. Never cleared.
//   - readWaits, writeWaits: a task waits for a token in readToken or writeToken.
//     Whoever clears the flag sends the token: the poller, a deadline, Stop, or the
//     connection that is watched. A task that finds a reason not to wait after all
//     clears the flag itself, and takes the token when somebody was faster.
//
// Wake-ups without a reason are harmless: the task looks again, and waits on. A
// deadline is no reason to lose bytes whose event is late, because the whole
// process was: the task reads once more before it gives up.
//
// Whose turn it is (turn.go) says who may touch the rest. A turn that belongs to
// no task is taken by compare-and-swap, and there is one winner:
//
//   - turnClient: by the event, the deadline or Stop, which start a task; by
//     StopIdle, which makes it turnEnding first, and starts one then; by Evict,
//     which closes the connection as a task would; or by the task itself, which looks at the flags once more after it gave the turn up.
//   - turnBackend: by the event, which makes it turnPoller, finds out whether it
//     was an old one, and either gives the turn back or calls gone as the task
//     that holds the connection; or by Unpark, which waits while that goes on.
//
// A descriptor's number is used again as soon as it is closed. Events carry the
// generation of the connection that they were asked for, and those of an earlier
// one are dropped. An event that is on its way while its connection is closed
// finds neither a waiting task nor a turn to take, and touches nothing but flags
// that nobody reads any more. Only the task that holds a connection closes it.
const (
	readable uint32 = 1 << iota
	writable
	finished
	broken
	readWaits
	writeWaits
)

// polled is the transport over a descriptor in the poller.
type polled struct {
	Conn
	fd         int
	generation uint32
	flags      atomic.Uint32

	readToken, writeToken chan struct{} // made by the first wait: an idle connection needs none
	watchedBy             atomic.Pointer[Conn]
	gone                  func(*Conn) // of a parked connection
	peer                  netip.AddrPort
}

// poller waits for all descriptors at once. It has no thread of its own: its
// epoll stands in the Go runtime's, like any other descriptor.
type poller struct {
	loop       *Loop
	file       *os.File
	fd         int
	generation atomic.Uint32

	mu     sync.RWMutex // guards the length of byFD, and closed
	byFD   []atomic.Pointer[polled]
	closed bool

	batch [256]unix.EpollEvent // run's own
}

func newPoller(l *Loop) *poller {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil // net.Conn does it all
	}
	_ = unix.SetNonblock(fd, true) // so that the runtime polls it
	return &poller{loop: l, fd: fd, file: os.NewFile(uintptr(fd), "epoll"), byFD: make([]atomic.Pointer[polled], 256)}
}

// run hands out events until close.
func (p *poller) run() {
	if raw, err := p.file.SyscallConn(); err == nil {
		_ = raw.Read(p.poll)
	}
}

// poll hands out what has happened, and tells the runtime to wait for more. A
// batch that was not full was all there is: what comes behind it is an event of
// our epoll in the runtime's, which remembers one that comes before the wait.
func (p *poller) poll(fd uintptr) bool {
	for {
		events := p.collect(int(fd))
		if len(events) > 0 {
			p.loop.look()
		}
		for i := range events {
			p.deliver(&events[i])
		}
		if len(events) < len(p.batch) {
			return false
		}
	}
}

// collect takes what has happened, as far as it fits into a batch.
func (p *poller) collect(fd int) []unix.EpollEvent { return p.batch[:epollWait(fd, p.batch[:])] }

// close ends run. From then on the epoll's number is somebody else's, so that
// nothing enters it any more. Closing waits for the events that are being handed
// out, so it holds no lock.
func (p *poller) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	_ = p.file.Close()
}

func (p *poller) deliver(e *unix.EpollEvent) {
	p.mu.RLock()
	t := p.byFD[e.Fd].Load()
	p.mu.RUnlock()
	if t == nil || t.generation != uint32(e.Pad) {
		return
	}
	var flags uint32
	if e.Events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		flags |= readable
	}
	if e.Events&(unix.EPOLLOUT|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		flags |= writable
	}
	if e.Events&unix.EPOLLRDHUP != 0 {
		flags |= finished
	}
	if e.Events&(unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		flags |= broken
	}
	t.flags.Or(flags)
	if flags&readable != 0 {
		t.becameReadable(flags)
	}
	if flags&writable != 0 {
		t.wakeWrite()
	}
}

// becameReadable wakes whoever has to do with that.
func (t *polled) becameReadable(flags uint32) {
	if flags&(finished|broken) != 0 {
		if waiting := t.watchedBy.Load(); waiting != nil {
			waiting.transport.wakeRead()
		}
	}
	if t.turn.CompareAndSwap(turnBackend, turnPoller) {
		t.leavePool()
		return
	}
	t.wakeRead()
}

// leavePool ends the rest of a parked connection, unless the event was an old
// one, for bytes that were read before it was parked.
func (t *polled) leavePool() {
	if !t.rest() {
		t.gone(&t.Conn)
	}
}

// quiet tells whether there is really nothing to read.
func (t *polled) quiet() bool {
	for t.flags.Load()&(finished|broken) == 0 {
		if t.flags.And(^readable)&readable == 0 {
			return true
		}
		if peekFD(t.fd) != syscall.EAGAIN {
			t.flags.Or(readable)
			return false
		}
	}
	return false
}

func (t *polled) wakeRead() {
	switch {
	case t.flags.And(^readWaits)&readWaits != 0:
		t.readToken <- struct{}{}
	case t.turn.CompareAndSwap(turnClient, turnTask), t.turn.CompareAndSwap(turnEnding, turnTask):
		t.loop.room.enter(&t.Conn)
	}
}

func (t *polled) wakeWrite() {
	if t.flags.And(^writeWaits)&writeWaits != 0 {
		t.writeToken <- struct{}{}
	}
}

// adopt makes a connection of a descriptor that is non-blocking.
func (p *poller) adopt(fd int, peer netip.AddrPort) (*Conn, error) {
	t := &polled{Conn: Conn{loop: p.loop}, fd: fd, generation: p.generation.Add(1), peer: peer}
	t.transport = t
	if err := p.enter(t); err != nil {
		closeFD(fd)
		return nil, err
	}
	p.loop.remember(&t.Conn)
	return &t.Conn, nil
}

func (p *poller) enter(t *polled) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return net.ErrClosed
	}
	if t.fd >= len(p.byFD) {
		bigger := make([]atomic.Pointer[polled], max(2*len(p.byFD), t.fd+1))
		for i := range p.byFD {
			bigger[i].Store(p.byFD[i].Load())
		}
		p.byFD = bigger
	}
	p.byFD[t.fd].Store(t)
	event := unix.EpollEvent{
		Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET&0xffffffff,
		Fd:     int32(t.fd), Pad: int32(t.generation),
	}
	if errno := epollAdd(p.fd, t.fd, &event); errno != 0 {
		p.byFD[t.fd].Store(nil)
		return os.NewSyscallError("epoll_ctl", errno)
	}
	return nil
}

func (p *poller) leave(t *polled) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	p.byFD[t.fd].CompareAndSwap(t, nil)
}

// pollListener accepts descriptors without making them net.Conns, which would
// put them into the runtime's epoll. It works on a duplicate of the listening
// descriptor: a net.Listener does not let its own be read from.
type pollListener struct {
	poller *poller
	net    *net.TCPListener
	file   *os.File
	raw    syscall.RawConn
	shared bool // see Shared
	told   bool // that a connection has come; Accept's own
	closed atomic.Bool

	mu      sync.Mutex // guards arrived
	arrived []arrival  // when it was closed
}

func (p *poller) listen(ln *net.TCPListener, shared bool) (Listener, error) {
	file, err := ln.File()
	if err != nil {
		return nil, err
	}
	raw, err := file.SyscallConn()
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	err = raw.Control(func(fd uintptr) { _ = setNoDelay(int(fd)) }) // what is accepted inherits it
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &pollListener{poller: p, net: ln, file: file, raw: raw, shared: shared}, nil
}

// Accept implements Listener.
func (l *pollListener) Accept() (*Conn, error) {
	var (
		fd    int
		from  netip.AddrPort
		errno syscall.Errno
	)
	ended := l.raw.Read(func(listening uintptr) bool {
		if !l.told && !hasCome(int(listening)) {
			l.told = true
			return false
		}
		l.told = false
		fd, from, errno = acceptFD(int(listening))
		return errno != syscall.EAGAIN && errno != syscall.EINTR
	})
	switch {
	case ended != nil || l.closed.Load():
		if errno == 0 && fd != 0 {
			return l.poller.adopt(fd, from)
		}
		return l.late()
	case errno != 0:
		return nil, os.NewSyscallError("accept4", errno)
	}
	return l.poller.adopt(fd, from)
}

// late gives what had come when the listener was closed.
func (l *pollListener) late() (*Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.arrived) == 0 {
		return nil, net.ErrClosed
	}
	a := l.arrived[0]
	l.arrived = l.arrived[1:]
	return l.poller.adopt(a.fd, a.from)
}

// Close implements Listener.
func (l *pollListener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed.Swap(true) && !l.shared {
		l.arrived = lastCall(l.raw)
	}
	return errors.Join(l.file.Close(), l.net.Close())
}

// dial connects to addr within limit.
func (p *poller) dial(addr netip.AddrPort, limit time.Duration, other *Conn) (*Conn, error) {
	family := unix.AF_INET6
	if addr.Addr().Unmap().Is4() {
		family = unix.AF_INET
	}
	fd, errno := socketFD(family)
	if errno != 0 {
		return nil, os.NewSyscallError("socket", errno)
	}
	_ = setNoDelay(fd)
	if errno := connectFD(fd, addr); errno != 0 && errno != syscall.EINPROGRESS {
		closeFD(fd)
		return nil, dialError(addr, errno)
	}
	c, err := p.adopt(fd, addr)
	if err != nil {
		return nil, err
	}
	if err := c.transport.(*polled).connected(limit, other); err != nil {
		c.Close()
		if err == ErrLost { //nolint:errorlint // never wrapped
			return nil, err
		}
		return nil, dialError(addr, err)
	}
	return c, nil
}

// lookAround is how often a wait for a connection looks after who it is for. Most
// are over long before.
const lookAround = 50 * time.Millisecond

// connected waits for the end of a connect that was begun.
func (t *polled) connected(limit time.Duration, other *Conn) error {
	by := t.deadline(millis(limit))
	for t.flags.Load()&(writable|broken) == 0 {
		err := t.awaitWritable(min(by, t.deadline(millis(lookAround))))
		switch {
		case lost(other):
			return ErrLost
		case err == ErrTimeout && t.interrupted(by) == nil: //nolint:errorlint // never wrapped
		case err != nil:
			return err
		}
	}
	if errno := socketError(t.fd); errno != 0 {
		return errno
	}
	return nil
}

func (t *polled) read(p []byte, other *Conn) (int, error) {
	return t.readInto(vessel{memory: p}, other)
}

func (t *polled) readNow(p []byte) (int, error) { return t.tryRead(vessel{memory: p}) }

func (t *polled) readInto(v vessel, other *Conn) (int, error) {
	by := t.deadline(t.readLimit)
	for {
		if t.halted() {
			return 0, ErrStopped
		}
		if n, err := t.tryRead(v); n > 0 || err != nil {
			return n, err
		}
		//nolint:errorlint // never wrapped
		switch err := t.awaitReadable(by, other); err {
		case nil:
		case ErrTimeout:
			return t.lastRead(v, err)
		default:
			return 0, err
		}
	}
}

// lastRead reads what is there without having been told of, before it gives up
// with the error why.
func (t *polled) lastRead(v vessel, why error) (int, error) {
	t.flags.Or(readable)
	if n, err := t.tryRead(v); n > 0 || err != nil {
		return n, err
	}
	return 0, why
}

// tryRead reads what there is, without waiting.
func (t *polled) tryRead(v vessel) (int, error) {
	for t.flags.And(^readable)&readable != 0 {
		n, errno := v.read(t.fd)
		if v.full(n) || errno != syscall.EAGAIN && n == 0 || t.flags.Load()&(finished|broken) != 0 {
			t.flags.Or(readable) // no edge will tell of what is left
		}
		switch {
		case n > 0:
			return n, nil
		case errno == 0:
			return 0, io.EOF
		case errno == syscall.EAGAIN:
			return 0, nil
		case errno != syscall.EINTR:
			return 0, os.NewSyscallError("read", errno)
		}
	}
	return 0, nil
}

func (t *polled) first(p []byte) (int, error) {
	v := vessel{memory: p}
	n, err := t.tryRead(v)
	if n == 0 && err == nil {
		why := t.idleInterrupted()
		if why == nil {
			return 0, errNotYet
		}
		n, err = t.lastRead(v, why)
	}
	t.readBy.Store(0)
	return n, err
}

// idleInterrupted is interrupted for an idle connection, whose time is over at
// readBy, and StopIdle.
func (t *polled) idleInterrupted() error {
	if t.loop.stopping.Load() {
		return ErrStopped
	}
	return t.interrupted(t.readBy.Load())
}

// awaitReadable waits until the connection may be readable, or tells why it does
// not wait any longer.
func (t *polled) awaitReadable(by int64, other *Conn) error {
	if t.readToken == nil {
		t.readToken = make(chan struct{}, 1)
	}
	t.readBy.Store(by)
	t.watch.arm(&t.Conn, other)
	t.flags.Or(readWaits)
	if t.flags.Load()&readable != 0 || t.interrupted(by) != nil || ended(other) {
		if t.flags.And(^readWaits)&readWaits == 0 {
			<-t.readToken // somebody was faster
		}
	} else {
		<-t.readToken
	}
	seen := t.watch.disarm(other)
	t.readBy.Store(0)
	switch {
	case t.flags.Load()&readable != 0:
		return nil // bytes come before everything else
	case seen != nil:
		return seen
	}
	return t.interrupted(by)
}

// lost tells whether a connection has broken, as far as that is known without asking.
func lost(other *Conn) bool {
	if other == nil {
		return false
	}
	t, ok := other.transport.(*polled)
	return ok && t.flags.Load()&broken != 0
}

// ended tells whether a watched connection has ended, as far as that can be
// known without asking.
func ended(other *Conn) bool {
	if other == nil {
		return false
	}
	t, ok := other.transport.(*polled)
	return ok && t.flags.Load()&(finished|broken) != 0
}

func (t *polled) write(p []byte) error { return t.writeFrom(&vessel{memory: p}) }

func (t *polled) writeFrom(v *vessel) error {
	for by := int64(0); v.left() > 0; {
		if t.halted() {
			return ErrStopped
		}
		n, errno := v.write(t.fd)
		switch {
		case n > 0:
			by = 0 // it goes on
		case errno == syscall.EINTR:
		case errno != syscall.EAGAIN:
			return os.NewSyscallError("write", errno)
		case t.flags.And(^writable)&writable != 0:
			// The edge that would end a wait may have come since the write.
		default:
			if by == 0 {
				by = t.deadline(t.writeLimit)
			}
			if err := t.awaitWritable(by); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *polled) awaitWritable(by int64) error {
	if t.writeToken == nil {
		t.writeToken = make(chan struct{}, 1)
	}
	t.writeBy.Store(by)
	t.flags.Or(writeWaits)
	if t.flags.Load()&writable != 0 || t.interrupted(by) != nil {
		if t.flags.And(^writeWaits)&writeWaits == 0 {
			<-t.writeToken
		}
	} else {
		<-t.writeToken
	}
	t.writeBy.Store(0)
	if t.flags.Load()&writable != 0 {
		return nil
	}
	return t.interrupted(by)
}

func (*polled) tells() bool { return true }

func (t *polled) watchFor(waiting *Conn) {
	t.watchedBy.Store(waiting)
	if t.flags.Load()&(finished|broken) != 0 {
		waiting.transport.wakeRead()
	}
}

func (t *polled) unwatch() error {
	t.watchedBy.Store(nil)
	switch f := t.flags.Load(); {
	case f&broken != 0:
		return ErrLost
	case f&finished != 0:
		return ErrHalfClosed
	}
	return nil
}

func (t *polled) idle() bool {
	if t.readBy.Load() == 0 { // it was not woken for nothing
		t.readBy.Store(t.deadline(t.readLimit))
		t.beginIdle()
	}
	t.turn.Store(turnClient)
	if t.flags.Load()&readable == 0 && !t.loop.stopping.Load() && !t.halted() {
		return true
	}
	// True: somebody else was faster, and goes on with it.
	return !t.turn.CompareAndSwap(turnClient, turnTask)
}

// evict looks once more whether there is something to read, whose event is still
// on its way.
func (t *polled) evict() bool {
	if !t.turn.CompareAndSwap(turnClient, turnTask) {
		return false
	}
	if t.flags.Or(readable); !t.quiet() {
		t.loop.room.enter(&t.Conn)
		return false
	}
	t.Close()
	t.handler.Gone()
	return true
}

func (t *polled) park(gone func(*Conn)) bool {
	t.gone = gone
	return t.rest()
}

// rest leaves the connection parked, unless there is something to read. An edge
// that comes before it is parked finds nobody to tell, so it looks again.
func (t *polled) rest() bool {
	for t.quiet() {
		t.turn.Store(turnBackend)
		if t.flags.Load()&readable == 0 || !t.turn.CompareAndSwap(turnBackend, turnPoller) {
			return true
		}
	}
	t.turn.Store(turnTask)
	return false
}

func (t *polled) unpark() bool {
	for !t.turn.CompareAndSwap(turnBackend, turnTask) {
		if t.turn.Load() == turnTask {
			return false
		}
		runtime.Gosched() // the poller is about to find out
	}
	return true
}

func (t *polled) silent() bool {
	t.flags.Or(readable)
	return t.quiet()
}

func (t *polled) closeWrite() error {
	return os.NewSyscallError("shutdown", unix.Shutdown(t.fd, unix.SHUT_WR))
}

func (t *polled) close() {
	t.loop.poller.leave(t)
	closeFD(t.fd)
}

func (t *polled) abort() {
	_ = unix.SetsockoptLinger(t.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	t.close()
}

func (t *polled) remote() netip.AddrPort { return t.peer }

func (t *polled) local() netip.AddrPort { return localAddr(t.fd) }
