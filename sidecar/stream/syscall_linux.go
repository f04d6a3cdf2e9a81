package stream

import (
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The calls below never wait: the descriptors are non-blocking, and epoll is
// asked with a timeout of zero. So they are raw, without the bookkeeping by which
// the runtime gets a thread back from a call that blocks: that would keep the
// runtime's watchdog awake, which looks every 20 us, and cost more than the call.

func readFD(fd int, p []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), 0, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	raceWrote(p[:n])
	return int(n), 0
}

func writeFD(fd int, p []byte) (int, syscall.Errno) {
	raceRead(p)
	n, _, errno := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), unix.MSG_NOSIGNAL, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

// maxSplice is how much one call may move; a pipe takes less.
const maxSplice = 1 << 20

// spliceFD moves bytes between a connection and a pipe.
func spliceFD(from, to int, limit int64) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_SPLICE, uintptr(from), 0, uintptr(to), 0,
		uintptr(min(limit, maxSplice)), unix.SPLICE_F_MOVE|unix.SPLICE_F_NONBLOCK)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

// peekFD is 0 when there is something to read, or an end to be seen, and EAGAIN
// when there is not.
func peekFD(fd int) syscall.Errno {
	var one [1]byte
	_, _, errno := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&one[0])), 1,
		unix.MSG_PEEK|unix.MSG_DONTWAIT, 0, 0)
	return errno
}

// epollWait asks by epoll_pwait: arm64 has no epoll_wait.
func epollWait(fd int, events []unix.EpollEvent) int {
	n, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(events))), uintptr(len(events)), 0, 0, 0)
	if errno != 0 {
		return 0
	}
	return int(n)
}

// epollAdd asks an epoll to tell of a descriptor's events.
func epollAdd(epoll, fd int, event *unix.EpollEvent) syscall.Errno {
	_, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(epoll), unix.EPOLL_CTL_ADD, uintptr(fd), uintptr(unsafe.Pointer(event)), 0, 0)
	return errno
}

// acceptFD takes a connection that has come in, and says where from.
func acceptFD(listening int) (fd int, from netip.AddrPort, errno syscall.Errno) {
	var sa sockaddr
	length := uint32(unsafe.Sizeof(sa))
	n, _, errno := syscall.RawSyscall6(unix.SYS_ACCEPT4, uintptr(listening), uintptr(unsafe.Pointer(&sa)), uintptr(unsafe.Pointer(&length)),
		unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	if errno != 0 {
		return 0, netip.AddrPort{}, errno
	}
	return int(n), sa.addrPort(), 0
}

// hasCome tells whether there is a connection to accept. Asking costs a fraction
// of an accept in vain, which makes a socket first.
func hasCome(listening int) bool {
	var now unix.Timespec
	ask := unix.PollFd{Fd: int32(listening), Events: unix.POLLIN}
	n, _, _ := syscall.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&ask)), 1, uintptr(unsafe.Pointer(&now)), 0, 0, 0)
	return n == 1
}

// closeFD closes a connection. What was sent is still delivered, in the background.
func closeFD(fd int) { _, _, _ = syscall.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0) }

func socketFD(family int) (int, syscall.Errno) {
	fd, _, errno := syscall.RawSyscall(unix.SYS_SOCKET, uintptr(family), unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if errno != 0 {
		return 0, errno
	}
	return int(fd), 0
}

// connectFD begins to connect: EINPROGRESS is the usual answer.
func connectFD(fd int, addr netip.AddrPort) syscall.Errno {
	sa, length := newSockaddr(addr)
	_, _, errno := syscall.RawSyscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&sa)), length)
	return errno
}

// setNoDelay makes small messages leave at once.
func setNoDelay(fd int) syscall.Errno {
	on := int32(1)
	_, _, errno := syscall.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(fd), unix.IPPROTO_TCP, unix.TCP_NODELAY, uintptr(unsafe.Pointer(&on)), unsafe.Sizeof(on), 0)
	return errno
}

// socketError is how a connect has ended, or what else has befallen a connection.
func socketError(fd int) syscall.Errno {
	var code int32
	length := uint32(unsafe.Sizeof(code))
	_, _, errno := syscall.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_ERROR, uintptr(unsafe.Pointer(&code)), uintptr(unsafe.Pointer(&length)), 0)
	if errno != 0 {
		return errno
	}
	return syscall.Errno(code)
}

// localAddr is our own end of a connection; the zero value when that is not known.
func localAddr(fd int) netip.AddrPort {
	var sa sockaddr
	length := uint32(unsafe.Sizeof(sa))
	_, _, errno := syscall.RawSyscall(unix.SYS_GETSOCKNAME, uintptr(fd), uintptr(unsafe.Pointer(&sa)), uintptr(unsafe.Pointer(&length)))
	if errno != 0 {
		return netip.AddrPort{}
	}
	return sa.addrPort()
}
