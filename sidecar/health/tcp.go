package health

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"

	"outrider/sidecar/cause"
)

// maxGreeting is how much of an answer is searched for Expect.
const maxGreeting = 16 << 10

// TCP is fine when a connection can be made and, if asked for, when the backend
// answers what it should: Send is written first unless empty, then Expect must
// appear somewhere in the first 16 KiB that come back. Expect without Send
// waits for a greeting.
type TCP struct {
	Send, Expect string
	Preface      string // sent first, as on all connections to the backend
}

// Check makes one connection.
func (c TCP) Check(ctx context.Context, addr netip.AddrPort) error {
	return visit(ctx, addr, c.Preface, c.talk)
}

func (c TCP) talk(conn net.Conn) error {
	if c.Send != "" {
		if _, err := io.WriteString(conn, c.Send); err != nil {
			return err
		}
	}
	if c.Expect == "" {
		return nil
	}
	found, err := find(conn, c.Expect, maxGreeting)
	if found || (err != nil && !errors.Is(err, io.EOF)) {
		return err
	}
	return failure{reason: fmt.Sprintf("answer does not contain %q", cause.Clipped(c.Expect, 40))}
}
