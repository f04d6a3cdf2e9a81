package stream

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"sync"
	"testing"
	"testing/quick"
	"time"

	"golang.org/x/sys/unix"
)

// polling runs a loop of the poller's until the test is over.
func polling(t *testing.T) *Loop {
	t.Helper()
	l := NewLoop()
	ctx, stop := context.WithCancel(t.Context())
	var run sync.WaitGroup
	run.Go(func() { l.Run(ctx) })
	t.Cleanup(func() {
		stop()
		run.Wait()
	})
	return l
}

// door is a listener of l's, and its address.
func door(t *testing.T, l *Loop) (Listener, netip.AddrPort) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d, err := l.Listen(ln)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d, ln.Addr().(*net.TCPAddr).AddrPort()
}

// ends are the dialled and the accepted end of a connection.
func ends(t *testing.T, l *Loop) (dialled, accepted *Conn) {
	t.Helper()
	d, addr := door(t, l)
	dialled, err := l.Dial(Target{Addr: addr}, time.Second, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(dialled.Close)
	accepted, err = d.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(accepted.Close)
	return dialled, accepted
}

func TestBothEndsSendSmallMessagesAtOnce(t *testing.T) {
	dialled, accepted := ends(t, polling(t))
	for name, c := range map[string]*Conn{"dialled": dialled, "accepted": accepted} {
		on, err := unix.GetsockoptInt(c.transport.(*polled).fd, unix.IPPROTO_TCP, unix.TCP_NODELAY)
		if err != nil || on == 0 {
			t.Errorf("%s: TCP_NODELAY is %d (%v)", name, on, err)
		}
	}
}

func TestBothEndsKnowEachOthersAddress(t *testing.T) {
	dialled, accepted := ends(t, polling(t))
	if dialled.Local() != accepted.Remote() || dialled.Remote() != accepted.Local() || !dialled.Local().IsValid() {
		t.Errorf("one is %v to %v, the other %v to %v", dialled.Local(), dialled.Remote(), accepted.Local(), accepted.Remote())
	}
}

// The runtime tells of connections once, however many have come.
func TestAllThatComeTogetherAreAccepted(t *testing.T) {
	d, addr := door(t, polling(t))
	for range 3 {
		const many = 50
		for range many {
			c, err := net.Dial("tcp", addr.String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
		}
		for i := range many {
			accepted := make(chan *Conn, 1)
			go func() {
				c, _ := d.Accept()
				accepted <- c
			}()
			select {
			case c := <-accepted:
				defer c.Close()
			case <-time.After(10 * time.Second):
				t.Fatalf("%d of %d were accepted", i, many)
			}
		}
	}
}

func TestAnAddressIsTheSameInTheKernelsForm(t *testing.T) {
	same := func(v4 [4]byte, v6 [16]byte, port uint16) bool {
		for _, ip := range []netip.Addr{netip.AddrFrom4(v4), netip.AddrFrom16(v6).Unmap()} {
			addr := netip.AddrPortFrom(ip, port)
			sa, length := newSockaddr(addr)
			if sa.addrPort() != addr || binary.BigEndian.Uint16(sa.port()) != port {
				return false
			}
			if want := map[bool]uintptr{true: 16, false: 28}[ip.Is4()]; length != want {
				return false
			}
		}
		return true
	}
	if err := quick.Check(same, nil); err != nil {
		t.Error(err)
	}
}

func TestAnAddressWithinAnIPv6AddressComesOutAsItself(t *testing.T) {
	sa, _ := newSockaddr(netip.MustParseAddrPort("[::ffff:192.0.2.1]:80"))
	if got := sa.addrPort(); got != netip.MustParseAddrPort("192.0.2.1:80") {
		t.Errorf("it is %v", got)
	}
}

func TestAnAddressOfAnotherFamilyIsNone(t *testing.T) {
	var sa sockaddr
	sa.Family = unix.AF_UNIX
	if got := sa.addrPort(); got.IsValid() {
		t.Errorf("it is %v", got)
	}
}
