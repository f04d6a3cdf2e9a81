package proxy_test

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// speech is what one end of a tunnel says: some pieces, then its FIN.
type speech struct {
	pieces []string
	after  int // it begins when it has heard so many bytes
}

func (s speech) all() string { return strings.Join(s.pieces, "") }

// end is one end of a tunnel.
type end struct {
	net.Conn
	in *bufio.Reader // of the same
}

func (e end) give(s speech) error {
	for _, piece := range s.pieces {
		if _, err := io.WriteString(e, piece); err != nil {
			return err
		}
	}
	return e.Conn.(interface{ CloseWrite() error }).CloseWrite()
}

// converse says its own and hears the other's, to the end.
func (e end) converse(s speech) (heard string, err error) {
	first := make([]byte, s.after)
	if _, err := io.ReadFull(e.in, first); err != nil {
		return string(first), err
	}
	said := make(chan error, 1)
	go func() { said <- e.give(s) }()
	rest, err := io.ReadAll(e.in)
	if failed := <-said; err == nil {
		err = failed
	}
	return string(first) + string(rest), err
}

// switching is a far end that agrees to any upgrade, and hands its connections out.
func switching(t *testing.T, ln net.Listener) (netip.AddrPort, <-chan end) {
	ends := make(chan end, 1)
	var tasks sync.WaitGroup
	tasks.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			e := end{nc, bufio.NewReader(nc)}
			for line := ""; line != "\r\n" && err == nil; {
				line, err = e.in.ReadString('\n')
			}
			_, _ = io.WriteString(nc, upgraded)
			ends <- e
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		tasks.Wait()
	})
	return netip.MustParseAddrPort(ln.Addr().String()), ends
}

// Whoever says how much, in which pieces, and ends when: the other hears it all,
// and its end.
func TestATunnelCarriesWhateverItsEndsSay(t *testing.T) {
	a := newAuthority(t)
	secure := tls.NewListener(listen(t), &tls.Config{
		Certificates: []tls.Certificate{a.certificate("b", time.Now().Add(time.Hour))}, MinVersion: tls.VersionTLS13,
	})
	for name, row := range map[string]struct {
		ln      net.Listener
		options []option
	}{
		"in cleartext": {listen(t), nil},
		"over TLS":     {secure, []option{secured("b", a)}},
	} {
		t.Run(name, func(t *testing.T) {
			addr, ends := switching(t, row.ln)
			sc := newSidecar(t, append(row.options, at(addr))...)
			rapid.Check(t, func(rt *rapid.T) {
				up, down := speechOf(rt, "the client"), speechOf(rt, "the backend")
				if rapid.Bool().Draw(rt, "one answers the other") {
					down.after = len(up.all())
				} else if rapid.Bool().Draw(rt, "the other way round") {
					up.after = len(down.all())
				}
				nc := mustDial(t, sc.addr)
				defer nc.Close()
				client := end{nc, bufio.NewReader(nc)}
				early := rapid.Bool().Draw(rt, "the first piece comes with the handshake") && up.after == 0 && len(up.pieces) > 0
				handshake, late := upgrading, up
				if early {
					handshake, late.pieces = upgrading+up.pieces[0], up.pieces[1:]
				}
				talk(rt, client, ends, handshake, late, up.all(), down)
			})
			sc.rest(t)
		})
	}
}

func speechOf(rt *rapid.T, whose string) speech {
	sizes := rapid.SliceOfN(rapid.OneOf(rapid.IntRange(1, 600), rapid.SampledFrom([]int{4096, 16383, 16384, 16385, 100_000, 300_000})), 0, 6).Draw(rt, whose+" says")
	var s speech
	for i, n := range sizes {
		s.pieces = append(s.pieces, strings.Repeat(string(rune('a'+i)), n))
	}
	return s
}

// talk lets both ends of a tunnel talk, and compares what they hear.
func talk(rt *rapid.T, client end, ends <-chan end, handshake string, up speech, said string, down speech) {
	_ = client.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(client, handshake); err != nil {
		rt.Fatal(err)
	}
	for line := ""; line != "\r\n"; {
		var err error
		if line, err = client.in.ReadString('\n'); err != nil {
			rt.Fatalf("the handshake: %v", err)
		}
	}
	backend := <-ends
	defer backend.Close()
	_ = backend.SetDeadline(time.Now().Add(patience))
	heard := make(chan string, 1)
	go func() {
		got, err := backend.converse(down)
		if err != nil {
			got += " and then " + err.Error()
		}
		heard <- got
	}()
	got, err := client.converse(up)
	if err != nil || got != down.all() {
		rt.Errorf("the client heard %d bytes (%v), want %d", len(got), err, len(down.all()))
	}
	if got := <-heard; got != said {
		rt.Errorf("the backend heard %d bytes (%.80q), want %d", len(got), got[max(0, len(got)-80):], len(said))
	}
}
