package proxy

import (
	"errors"
	"io"
	"sync/atomic"
	"time"

	"outrider/sidecar/http1"
	"outrider/sidecar/stream"
)

// tunnel passes the 101 on, and then bytes in both directions until both have
// ended. The end of one direction leaves the other open.
func (x *exchange) tunnel() error {
	up := x.up.conn
	x.down = x.appendResponseHead(x.down[:0], http1.Framing{})
	x.down = append(x.down, "Connection: Upgrade\r\nUpgrade: "...)
	x.down = append(x.down, x.upgrade...)
	x.down = append(x.down, "\r\n\r\n"...)
	x.progress.phase = Tunnelling
	x.status = x.resp.Status
	x.began = true
	up.Advance(x.resp.Size)
	if err := x.flush(); err != nil {
		return err
	}
	t := tunnel{loop: x.server.loop, idle: x.policy.StreamIdle}
	t.touch()
	upward := make(chan error, 1)
	x.server.loop.Go(func() {
		upward <- x.server.contained(func() error { return t.carry(x.conn, up, &x.progress.received) })
	})
	err := errors.Join(t.carry(up, x.conn, &x.progress.sent), <-upward)
	x.ending = leave
	if err != nil {
		x.ending, x.progress.by = cut, t.whose(x.conn)
		up.Abort()
	}
	x.dropUpstream()
	return nil
}

// tunnel is two directions that live as long as either of them is used.
type tunnel struct {
	loop *stream.Loop
	idle time.Duration
	used atomic.Int64 // when a byte passed last, of the loop's clock

	// broke is the connection that failed first; nil when it was only too silent.
	broke atomic.Pointer[stream.Conn]
}

func (t *tunnel) touch() { t.used.Store(int64(t.loop.Now())) }

// left is how long the tunnel may stay silent from now on.
func (t *tunnel) left() time.Duration {
	return t.idle - (t.loop.Now() - time.Duration(t.used.Load()))
}

// buffersKept is how long a direction keeps its buffer when nothing comes.
const buffersKept = time.Second

// carry passes bytes on until from ends, which it tells to, and counts them. An
// error ends both directions, but what an end has said before it broke still
// arrives: a failed write leaves the other direction to find that end by itself.
func (t *tunnel) carry(from, to *stream.Conn, passed *int64) error {
	to.SetWriteLimit(t.idle)
	size, patience := stream.BodyBuffer, buffersKept
	for {
		if b := from.Bytes(); len(b) > 0 {
			t.touch()
			if err := to.Write(b); err != nil {
				return t.writeFailed(from, to, err)
			}
			*passed += int64(len(b))
			from.Advance(len(b))
			size, patience = stream.BodyBuffer, buffersKept
		}
		from.SetReadLimit(min(patience, t.left()))
		switch err := from.Fill(size, nil); {
		case err == nil:
		case errors.Is(err, stream.ErrTimeout) && t.left() > 0:
			from.ReleaseBuffer()
			size, patience = stream.TinyBuffer, t.idle
		default:
			return t.readFailed(from, to, err)
		}
	}
}

// writeFailed ends one direction. The other one goes on where to is broken: it may
// have more to say.
func (t *tunnel) writeFailed(from, to *stream.Conn, err error) error {
	if !t.broken(to, err) {
		stop(from, to)
	}
	return err
}

// readFailed ends one direction by the end of from, and both by anything else.
func (t *tunnel) readFailed(from, to *stream.Conn, err error) error {
	switch {
	case errors.Is(err, io.EOF) && t.broke.Load() == from:
		return io.ErrUnexpectedEOF // the write that failed has used up the reset
	case errors.Is(err, io.EOF):
		return to.CloseWrite()
	}
	t.broken(from, err)
	stop(from, to)
	return err
}

func stop(from, to *stream.Conn) {
	from.Stop()
	to.Stop()
}

// broken notes which connection an error comes from, and reports whether it is
// broken. A silence, or a Stop, is the doing of neither.
func (t *tunnel) broken(c *stream.Conn, err error) bool {
	if errors.Is(err, stream.ErrTimeout) || errors.Is(err, stream.ErrStopped) {
		return false
	}
	t.broke.CompareAndSwap(nil, c)
	return true
}

func (t *tunnel) whose(client *stream.Conn) Party {
	switch t.broke.Load() {
	case nil:
		return ByProxy
	case client:
		return ByClient
	}
	return ByBackend
}
