package proxy_test

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"outrider/sidecar/stream"
)

var transport = flag.String("transport", "poller", "what carries the connections: poller, net, or poller with clients that speak TLS: tls")

// TestMain runs every test over all transports: what holds on the wire must not
// depend on what carries it.
func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	fuzzing := flag.Lookup("test.fuzz").Value.String() != "" // the fuzz tests go over both by themselves
	if *transport == "poller" && !fuzzing {
		for _, *transport = range []string{"net", "tls"} {
			if code == 0 {
				code = m.Run()
			}
		}
	}
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func newLoop() *stream.Loop {
	if *transport == "net" {
		return stream.NewNetLoop()
	}
	return stream.NewLoop()
}
