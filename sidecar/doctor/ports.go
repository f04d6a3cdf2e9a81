package doctor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"strings"
	"syscall"
)

// ports finds addresses that cannot be listened on. Those of a sidecar that runs
// are its own.
func (p Patient) ports(ctx context.Context) []Finding {
	if p.Running {
		return nil
	}
	var found []Finding
	for _, s := range p.sockets() {
		if err := s.open(ctx); err != nil {
			found = append(found, p.wrong(s.key, fmt.Sprintf("%s %s: %s", s.network, s.address, reason(err)), s.remedy(err)))
		}
	}
	return found
}

// socket is an address that the sidecar would listen on.
type socket struct{ key, network, address string }

func (p Patient) sockets() []socket {
	var sockets []socket
	for i, l := range p.Config.Listen {
		sockets = append(sockets, socket{fmt.Sprintf("listen[%d].address", i), "tcp", l.Address})
	}
	if a := p.Config.Status.Listen; a != "" {
		sockets = append(sockets, socket{"status.listen", "tcp", a})
	}
	if a := p.Config.Admin.Listen; a != "" {
		sockets = append(sockets, socket{"admin.listen", "tcp", a})
	}
	if g := p.Config.Gossip; g != nil {
		sockets = append(sockets, socket{"gossip.listen", "tcp", g.Listen.String()}, socket{"gossip.listen", "udp", g.Listen.String()})
	}
	return sockets
}

func (s socket) open(ctx context.Context) error {
	var opened io.Closer
	var err error
	if s.network == "udp" {
		opened, err = new(net.ListenConfig).ListenPacket(ctx, s.network, s.address)
	} else {
		opened, err = new(net.ListenConfig).Listen(ctx, s.network, s.address)
	}
	if err != nil {
		return err
	}
	return opened.Close()
}

func (s socket) remedy(err error) string {
	_, port, _ := net.SplitHostPort(s.address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		flag := map[string]string{"tcp": "t", "udp": "u"}[s.network]
		return fmt.Sprintf("choose another port, or end who has it (ss -l%snp 'sport = :%s' tells)", flag, port)
	case errors.Is(err, fs.ErrPermission):
		return "choose a port from 1024 on, or allow this one (sysctl net.ipv4.ip_unprivileged_port_start, or the capability NET_BIND_SERVICE)"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Sprintf("no interface here has this address: write \":%s\" to listen on all", port)
	}
	return "write another address"
}

// reason is the innermost cause in words, without what the outer ones repeat.
func reason(err error) string {
	if number, ok := errors.AsType[syscall.Errno](err); ok {
		return number.Error()
	}
	if unknown, ok := errors.AsType[*net.DNSError](err); ok {
		return unknown.Err
	}
	return strings.TrimSpace(err.Error())
}
