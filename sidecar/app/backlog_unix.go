//go:build unix

package app

import (
	"errors"
	"net"
	"os"
	"syscall"
)

// setBacklog bounds the connections that wait to be accepted. The net package
// takes what the system allows; listen(2) may be called again to change it.
func setBacklog(ln net.Listener, n int) error {
	tcp, ok := ln.(*net.TCPListener)
	if !ok {
		return nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) { failed = os.NewSyscallError("listen", syscall.Listen(int(fd), n)) })
	return errors.Join(err, failed)
}
