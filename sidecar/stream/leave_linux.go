package stream

import (
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// leave moves the descriptor from our epoll to the runtime's. The copy that the
// runtime takes would keep our epoll's interest alive, so that is withdrawn first.
func (t *polled) leave() (net.Conn, error) {
	t.loop.poller.leave(t)
	_ = unix.EpollCtl(t.loop.poller.fd, unix.EPOLL_CTL_DEL, t.fd, nil)
	file := os.NewFile(uintptr(t.fd), "connection")
	defer file.Close()
	return net.FileConn(file)
}
