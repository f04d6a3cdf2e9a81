//go:build !race

// Under the race detector a sync.Pool drops a part of what it is given.

package proxy_test

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
)

// bareUpstream is a far end that answers every read with the same bytes, and
// allocates nothing for it.
func bareUpstream(t *testing.T, answer string) netip.AddrPort {
	t.Helper()
	ln := listen(t)
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer nc.Close()
				buf, out := make([]byte, 64<<10), []byte(answer)
				for {
					if _, err := nc.Read(buf); err != nil {
						return
					}
					if _, err := nc.Write(out); err != nil {
						return
					}
				}
			}()
		}
	}()
	return netip.MustParseAddrPort(ln.Addr().String())
}

// The tolerance is what else happens meanwhile: a Date header each second, and
// whatever the runtime does.
func TestAProxiedRequestAllocatesNothing(t *testing.T) {
	const (
		warmUp    = 500
		n         = 5000
		tolerance = 0.02
	)
	type row struct{ name, request, response, end string }
	rows := []row{
		{"a GET", getRoot, ok, "\r\n\r\nok"},
		{"a chunked response", getRoot, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "\r\n0\r\n\r\n"},
		{"a HEAD", "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", "\r\n\r\n"},
		{"a POST", postHello, ok, "\r\n\r\nok"},
		{"many fields", "GET /a/b?c=d HTTP/1.1\r\nHost: a\r\nUser-Agent: test\r\nAccept: */*\r\nCookie: a=b; c=d\r\nX-Other: x\r\nX-More: y\r\n\r\n", ok, "\r\n\r\nok"},
	}
	if *transport == "poller" { // which alone knows without waiting that more of the body is there: no task is started for it
		long := "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000\r\n\r\n" + strings.Repeat(".", 10000)
		rows = append(rows, row{"a POST that is longer than a head's buffer", long, ok, "\r\n\r\nok"})
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			sc := newSidecar(t, at(bareUpstream(t, row.response)))
			nc := mustDial(t, sc.addr)
			defer nc.Close()
			request, end, buf := []byte(row.request), []byte(row.end), make([]byte, 4<<10)
			ask := func() error {
				if _, err := nc.Write(request); err != nil {
					return err
				}
				for got := 0; !bytes.HasSuffix(buf[:got], end); {
					n, err := nc.Read(buf[got:])
					if err != nil {
						return err
					}
					got += n
				}
				return nil
			}
			if err := repeat(warmUp, ask); err != nil {
				t.Fatal(err)
			}
			defer debug.SetGCPercent(debug.SetGCPercent(-1)) // which would empty the pools
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err := repeat(n, ask)
			runtime.ReadMemStats(&after)
			if err != nil {
				t.Fatal(err)
			}
			allowed := tolerance
			if *transport == "tls" {
				allowed += 2 // crypto/tls itself, at either end
			}
			if per := float64(after.Mallocs-before.Mallocs) / n; per > allowed {
				t.Errorf("%.3f allocations of %.0f bytes for each request", per, float64(after.TotalAlloc-before.TotalAlloc)/n)
			}
		})
	}
}

func repeat(n int, do func() error) error {
	for range n {
		if err := do(); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
	}
	return nil
}
