package proxy

import (
	"errors"
	"io"
	"time"

	"outrider/sidecar/http1"
	"outrider/sidecar/stream"
)

// clientWriteLimit is how long a client may take no bytes when no cluster's
// policy says otherwise.
const clientWriteLimit = 30 * time.Second

// answer passes the response on: head, body, trailers.
func (x *exchange) answer() error {
	framing := x.resp.Body(x.req.IsHead)
	x.respFrame = x.outward(framing)
	stays := x.clientStays()
	x.down = x.appendResponseHead(x.down[:0], x.respFrame)
	x.down = append(x.appendConnection(x.down, stays), "\r\n"...)
	x.status = x.resp.Status
	x.announced = appendAnnounced(x.announced[:0], &x.resp.Head, x.up.conn.Bytes())
	x.withheld = appendNominated(x.withheld[:0], &x.resp.Head, x.up.conn.Bytes())
	x.respBody.Start(framing)
	x.up.conn.Advance(x.resp.Size)
	x.up.conn.SetReadLimit(x.policy.StreamIdle)
	x.conn.SetWriteLimit(x.policy.StreamIdle)
	if err := x.passBody(); err != nil {
		return err
	}
	uploaded := x.endUpload()
	x.giveBackUpstream(uploaded)
	switch {
	case !uploaded && (!stays || !x.skipBody()):
		x.ending = loiter
	case !stays:
		x.ending = x.farewell()
	}
	return nil
}

// farewell is how a connection ends on which no further request is served. Where
// the client may be sending one, or has, a plain close would reset the connection
// and could destroy the answer on its way (RFC 9112, 9.6). A client that has said
// itself that this was its last request costs no more than a look at what it may
// have sent nevertheless, and the close.
func (x *exchange) farewell() ending {
	unread := len(x.conn.Bytes()) > 0 || x.conn.FillNow(stream.SmallBuffer)
	if unread || x.req.Persistent() && !x.halfClosed {
		return loiter
	}
	return leave
}

// outward is how a response body is framed for the client.
func (x *exchange) outward(f http1.Framing) http1.Framing {
	switch f.Kind {
	case http1.UntilClose:
		f.Kind = http1.Chunked
	case http1.None:
		if x.resp.Status == 204 || x.resp.Interim() {
			return http1.Framing{} // RFC 9110, 8.6
		}
	}
	if f.Kind == http1.Chunked && x.req.Minor == 0 {
		f.Kind = http1.UntilClose
	}
	return f
}

// clientStays tells whether the client's connection can serve another request
// after this one.
func (x *exchange) clientStays() bool {
	return x.mayStay() && x.respFrame.Kind != http1.UntilClose && !x.waitsForContinue()
}

// mayStay tells whether the client could make use of its connection after this
// exchange, and may. A client that has sent its FIN can have sent more requests
// before.
func (x *exchange) mayStay() bool {
	more := !x.halfClosed || len(x.conn.Bytes()) > 0
	return more && x.req.Persistent() && !x.server.draining.Load() && !x.client.listener.closed.Load()
}

// passBody passes on what is there, before it waits for more.
func (x *exchange) passBody() error {
	up := x.up.conn
	for !x.respBody.Done() {
		data, n, err := x.respBody.Next(up.Bytes())
		if err != nil {
			return x.brokenBody(err)
		}
		if n == 0 {
			if err := x.flush(); err != nil {
				return err
			}
			if err := x.bodyMore(); err != nil {
				return err
			}
			continue
		}
		if err := x.passPiece(data); err != nil {
			return err
		}
		if x.respBody.Done() && x.respFrame.Kind == http1.Chunked {
			x.endChunks(up.Bytes())
		}
		up.Advance(n)
	}
	return x.flush()
}

// brokenBody is the fault of a body that breaks the rules. The client gets what
// came before, but for what came together with the head: as long as that was not
// sent, the client can be told what is wrong.
func (x *exchange) brokenBody(err error) error {
	b := x.up.backend
	x.server.warn("a backend broke the rules of HTTP", b, err)
	if x.began {
		_ = x.flush() // the client is cut off anyway
	}
	return badResponse(b.ClusterName(), err)
}

// passPiece sends a piece of body, or puts it behind what is to be sent.
func (x *exchange) passPiece(data []byte) error {
	if len(x.down) == 0 && x.respFrame.Kind != http1.Chunked {
		return x.write(data)
	}
	if len(data) > 0 {
		x.down = appendBody(x.down, data, x.respFrame.Kind)
	}
	if len(x.down) < stream.LargeBuffer/2 {
		return nil
	}
	return x.flush()
}

func (x *exchange) endChunks(buf []byte) {
	if x.resp.Body(x.req.IsHead).Kind != http1.Chunked {
		x.down = append(x.down, "0\r\n\r\n"...)
		return
	}
	x.down = appendLastChunk(x.down, x.respBody.Trailer, x.passesTrailer, buf)
}

// flush sends what is ready, which begins with the final response's head.
func (x *exchange) flush() error {
	if len(x.down) == 0 {
		return nil
	}
	x.began = true
	err := x.write(x.down)
	x.down = x.down[:0]
	return err
}

func (x *exchange) write(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	if err := x.conn.Write(p); err != nil {
		return clientGone(err)
	}
	x.progress.sent += int64(len(p))
	return nil
}

// bodyMore waits for more of the response's body.
func (x *exchange) bodyMore() error {
	if pipe := x.pipeFor(&x.respBody, x.up.conn, x.conn); pipe != nil {
		return x.pipeBody(pipe)
	}
	return x.bodyWaited(x.up.conn.Fill(stream.BodyBuffer, x.watched()))
}

// pipeFrom is how much must be left of a body to be worth a pipe: with 100 KB it
// saves two fifths of the exchange's CPU time, with 1 MB two thirds.
const pipeFrom = 64 << 10

// pipeFor lends a pipe for what is left of a body with a length, where that is
// worth it and possible.
func (x *exchange) pipeFor(body *http1.Body, from, to *stream.Conn) *stream.Pipe {
	if body.Left() < pipeFrom {
		return nil
	}
	return x.server.loop.LendPipe(from, to)
}

// pipeBody passes on the rest of a body, which nobody looks at.
func (x *exchange) pipeBody(pipe *stream.Pipe) error {
	defer pipe.Release()
	for !x.respBody.Done() {
		n, err := x.up.conn.FillPipe(pipe, x.respBody.Left(), x.watched())
		if err := x.bodyWaited(err); err != nil {
			return err
		}
		if err := x.conn.WritePipe(pipe); err != nil {
			return clientGone(err)
		}
		x.respBody.Skip(n)
		x.progress.sent += int64(n)
	}
	return nil
}

// bodyWaited tells what the end of a wait for more of the response's body means.
func (x *exchange) bodyWaited(err error) error {
	switch {
	case err == nil:
		return nil
	case err == stream.ErrHalfClosed: //nolint:errorlint // never wrapped
		x.halfClosed = true // once begun, a response goes on until a write fails
		return nil
	case err == stream.ErrLost: //nolint:errorlint // never wrapped
		return clientGone(err)
	case err == stream.ErrStopped: //nolint:errorlint // never wrapped
		return x.upload.over()
	case err == stream.ErrTimeout && x.uploads(): //nolint:errorlint // never wrapped
		return nil
	case errors.Is(err, io.EOF) && x.respBody.Close():
		if x.respFrame.Kind == http1.Chunked {
			x.endChunks(nil)
		}
		return nil
	}
	return x.brokenOff(err)
}

// endUpload reports whether the whole request was sent.
func (x *exchange) endUpload() bool {
	x.upload.stop()
	return x.delivered
}

// skipBody reads what is left of a body that its backend answered before it had all
// of it. A client that has sent the rest meanwhile takes its connection for free, and
// would lose the next request to a close. Not ok: it is too much, or takes too long.
func (x *exchange) skipBody() bool {
	s, c := x.server, x.conn
	defer s.loiterers.Add(-1)
	if s.loiterers.Add(1) > maxLoiterers || x.body.Left() > loiterBytes {
		return false
	}
	deadline := c.Loop().Now() + loiterFor
	for passed := 0; !x.body.Done(); {
		_, n, err := x.body.Next(c.Bytes())
		if err != nil {
			return false
		}
		c.Advance(n)
		x.progress.received += int64(n)
		if passed += n; n > 0 {
			continue
		}
		left := deadline - c.Loop().Now()
		if passed > loiterBytes || left <= 0 {
			return false
		}
		c.SetReadLimit(left)
		if c.Fill(stream.BodyBuffer, nil) != nil {
			return false
		}
	}
	return true
}

// giveBackUpstream keeps the connection for another request only when both
// messages have ended cleanly and nothing is behind them.
func (x *exchange) giveBackUpstream(uploaded bool) {
	up := x.up
	x.up.conn = nil
	up.backend.Leave()
	if !uploaded || !x.resp.Persistent() || len(up.conn.Bytes()) > 0 || x.respUntilClose() {
		up.conn.Close()
		return
	}
	up.pool.put(up.conn, x.server.loop.Now(), x.policy, up.intro)
}

func (x *exchange) respUntilClose() bool {
	return x.resp.Body(x.req.IsHead).Kind == http1.UntilClose
}
