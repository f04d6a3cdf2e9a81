package stream

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The calls below never wait: the descriptors are non-blocking, and epoll is
// asked with a timeout of zero. So they are raw, without the bookkeeping by which
// the runtime gets a thread back from a call that blocks.

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
