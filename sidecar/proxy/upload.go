package proxy

import (
	"bytes"
	"errors"
	"sync"

	"outrider/sidecar/http1"
	"outrider/sidecar/stream"
)

// upload carries what is left of a request body from the client to the backend,
// on a task of its own, so that a response can begin before the body has ended.
// While it runs it alone reads from the client and writes to the backend.
type upload struct {
	x       *exchange
	running bool
	task    sync.WaitGroup
	buf     []byte
	fault   error // why it ended, when that is the client's doing; read after task
}

// takeBuffered takes what has come of the body already into the bytes that are
// sent first.
func (x *exchange) takeBuffered() error {
	for !x.body.Done() {
		took, err := x.takeBody(&x.sent)
		if err != nil {
			return err
		}
		if !took {
			return nil
		}
	}
	return nil
}

// takeBody moves a piece of body from the client's connection to dst, framed for
// the backend. It reports whether there was one.
func (x *exchange) takeBody(dst *[]byte) (bool, error) {
	data, n, err := x.body.Next(x.conn.Bytes())
	if len(data) > 0 {
		*dst = appendBody(*dst, data, x.req.Body().Kind)
	}
	if err == nil && x.body.Done() && x.req.Body().Kind == http1.Chunked {
		names, _ := x.req.Lookup(x.head, http1.Trailer)
		*dst = appendLastChunk(*dst, x.body.Trailer, names, x.conn.Bytes())
	}
	x.conn.Advance(n)
	var broken *http1.Error
	if errors.As(err, &broken) {
		return false, badRequest(broken)
	}
	return n > 0, nil
}

// appendBody appends a piece of body as its framing wants it.
func appendBody(dst, data []byte, kind http1.Kind) []byte {
	if kind != http1.Chunked {
		return append(dst, data...)
	}
	dst = http1.AppendChunkSize(dst, len(data))
	dst = append(dst, data...)
	return append(dst, "\r\n"...)
}

// appendLastChunk ends a chunked body, with the trailer fields, in buf, that the
// head announced and that may stand in a trailer.
func appendLastChunk(dst []byte, trailer []http1.Field, announced, buf []byte) []byte {
	dst = append(dst, "0\r\n"...)
	for _, f := range trailer {
		if f.ID != http1.Other || !names(announced, f.Name.Of(buf)) || !http1.AllowedInTrailer(f.Name.Of(buf)) {
			continue
		}
		dst = append(dst, f.Name.Of(buf)...)
		dst = append(dst, ": "...)
		dst = append(dst, f.Value.Of(buf)...)
		dst = append(dst, "\r\n"...)
	}
	return append(dst, "\r\n"...)
}

// names tells whether a comma-separated list has the name.
func names(list, name []byte) bool {
	for token := range http1.Tokens(list) {
		if bytes.EqualFold(token, name) {
			return true
		}
	}
	return false
}

func (u *upload) start() {
	u.running, u.fault = true, nil
	u.x.conn.SetReadLimit(u.x.policy.StreamIdle)
	u.task.Go(u.carry)
}

// carry ends when the body does, or the client, or the backend's patience.
func (u *upload) carry() {
	x := u.x
	for !x.body.Done() {
		u.buf = u.buf[:0]
		took, err := x.takeBody(&u.buf)
		if err == nil && !took {
			err = x.conn.Fill(stream.BodyBuffer, nil)
		}
		switch {
		case err == stream.ErrStopped: //nolint:errorlint // never wrapped
			return
		case err != nil:
			u.blame(err)
			return
		}
		if len(u.buf) > 0 {
			u.keep()
			if x.up.conn.Write(u.buf) != nil {
				return // the backend may have answered all the same
			}
		}
	}
	x.up.conn.Stop() // who waits for the response can now watch the client
}

// blame ends the try for what the client did.
func (u *upload) blame(err error) {
	var fault *Fault
	switch {
	case errors.As(err, &fault):
	case err == stream.ErrTimeout: //nolint:errorlint // never wrapped
		fault = headTimeout()
	default:
		fault = clientGone(err)
	}
	u.fault = fault
	u.x.up.conn.Stop()
}

// keep keeps what is sent, for as long as it is not too much.
func (u *upload) keep() {
	x := u.x
	if x.whole = x.whole && len(x.sent)+len(u.buf) <= maxReplay; x.whole {
		x.sent = append(x.sent, u.buf...)
	}
}

// stop ends the upload if it still runs, and waits for that.
func (u *upload) stop() {
	if !u.running {
		return
	}
	u.x.conn.Stop()
	if u.x.up.conn != nil {
		u.x.up.conn.Stop()
	}
	u.task.Wait()
	u.x.conn.Continue()
	if u.x.up.conn != nil {
		u.x.up.conn.Continue()
	}
	u.running = false
}

// over is called when the upload has stopped the wait for the response: because
// of a fault of the client's, or because it is done.
func (u *upload) over() error {
	u.task.Wait()
	u.running = false
	if u.fault != nil {
		return u.fault
	}
	u.x.up.conn.Continue()
	return nil
}

func (u *upload) reset() {
	if cap(u.buf) > stream.LargeBuffer {
		u.buf = nil
	}
	u.fault, u.running = nil, false
}
