package stream

import (
	"net"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// arrival is a connection that had come to a listening socket when that was closed.
type arrival struct {
	fd   int
	from netip.AddrPort
}

// lastCall ends a listening socket, also where other descriptors lead to it. The
// system resets the connections that have come and were not accepted, with the
// requests that are on them: so they are accepted first, and nothing is done in
// between.
func lastCall(raw syscall.RawConn) (arrived []arrival) {
	_ = raw.Control(func(fd uintptr) {
		for {
			conn, from, errno := acceptFD(int(fd))
			switch errno {
			case 0:
				arrived = append(arrived, arrival{conn, from})
			case syscall.EINTR, syscall.ECONNABORTED:
			default:
				_ = unix.Shutdown(int(fd), unix.SHUT_RDWR)
				return
			}
		}
	})
	return arrived
}

// lastCallNet is lastCall for connections that the net package carries.
func lastCallNet(ln net.Listener) (arrived []net.Conn) {
	tcp, ok := ln.(*net.TCPListener)
	if !ok {
		return nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil
	}
	for _, a := range lastCall(raw) {
		file := os.NewFile(uintptr(a.fd), "")
		if nc, err := net.FileConn(file); err == nil {
			arrived = append(arrived, nc)
		}
		_ = file.Close()
	}
	return arrived
}
