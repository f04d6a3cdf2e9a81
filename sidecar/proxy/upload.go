package proxy

import (
	"errors"
	"sync"
	"sync/atomic"

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
	moved   atomic.Bool // a piece of the body has come
	fault   error       // why it ended, when that is the client's doing; read after task
}

// takeReady takes what has come of the body already into the bytes that are sent
// first. A short body that came with its head is whole then, and needs no task.
func (x *exchange) takeReady() error {
	for !x.body.Done() {
		took, err := x.takeBody(&x.sent)
		if err != nil {
			return err
		}
		if !took && !x.readReady() {
			return nil
		}
	}
	x.conn.ReleaseBuffer()
	return nil
}

// readReady reads more of the body without waiting, as long as what is sent first
// can be sent again and a pipe is not the better way.
func (x *exchange) readReady() bool {
	return x.body.Left() < pipeFrom && len(x.sent)+stream.BodyBuffer <= maxReplay && x.conn.FillNow(stream.BodyBuffer)
}

// takeBody moves a piece of body from the client's connection to dst, framed for
// the backend. It reports whether there was one.
func (x *exchange) takeBody(dst *[]byte) (bool, error) {
	data, n, err := x.body.Next(x.conn.Bytes())
	if len(data) > 0 {
		*dst = appendBody(*dst, data, x.req.Body().Kind)
	}
	if err == nil && x.body.Done() && x.req.Body().Kind == http1.Chunked {
		announced := x.announcedTrailers()
		*dst = appendLastChunk(*dst, x.body.Trailer, func(name []byte) bool { return names(announced, name) }, x.conn.Bytes())
	}
	x.conn.Advance(n)
	x.progress.received += int64(n)
	if err == nil {
		return n > 0, nil
	}
	if broken, ok := errors.AsType[*http1.Error](err); ok {
		return false, badRequest(broken)
	}
	return false, err
}

// announcedTrailers are the names of the trailer fields that the request's head
// announces. Few requests have any: the list is made when there is use for it.
func (x *exchange) announcedTrailers() []byte {
	if len(x.body.Trailer) == 0 {
		return nil
	}
	return appendAnnounced(nil, &x.req.Head, x.head)
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

func (u *upload) start() {
	u.running, u.fault = true, nil
	u.moved.Store(false)
	u.x.conn.SetReadLimit(u.x.policy.StreamIdle)
	u.task.Go(u.carry)
}

// carry wakes who waits for the response when it ends: there may be a fault to
// tell of, and else the client can now be watched.
func (u *upload) carry() {
	defer u.x.up.conn.Stop()
	u.fault = u.x.server.contained(u.pass)
}

// pass ends when the body does, or the client, or the backend's patience. The
// error is the client's fault; a backend that takes no more may have answered
// all the same.
func (u *upload) pass() error {
	x := u.x
	for !x.body.Done() {
		u.buf = u.buf[:0]
		took, err := x.takeBody(&u.buf)
		if err == nil && !took {
			if pipe := x.pipeFor(&x.body, x.conn, x.up.conn); pipe != nil {
				return u.passThrough(pipe)
			}
			err = x.conn.Fill(stream.BodyBuffer, nil)
		}
		if err != nil {
			return blameClient(err)
		}
		if len(u.buf) == 0 {
			continue
		}
		u.moved.Store(true)
		u.keep()
		if x.up.conn.Write(u.buf) != nil {
			return nil
		}
	}
	x.delivered = true
	return nil
}

// passThrough is pass for the rest of a body, which nobody looks at.
func (u *upload) passThrough(pipe *stream.Pipe) error {
	defer pipe.Release()
	x := u.x
	x.whole = false // what passes here can not be sent again
	for !x.body.Done() {
		n, err := x.conn.FillPipe(pipe, x.body.Left(), nil)
		if err != nil {
			return blameClient(err)
		}
		u.moved.Store(true)
		x.body.Skip(n)
		x.progress.received += int64(n)
		if x.up.conn.WritePipe(pipe) != nil {
			return nil
		}
	}
	x.delivered = true
	return nil
}

// blameClient makes a fault of what ended an upload on the client's side.
func blameClient(err error) error {
	var fault *Fault
	switch {
	case errors.As(err, &fault):
		return fault
	case err == stream.ErrStopped: //nolint:errorlint // never wrapped
		return nil
	case err == stream.ErrTimeout: //nolint:errorlint // never wrapped
		return requestTimeout()
	}
	return clientGone(err)
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

// over is called when the upload has ended, and with it a wait for the response.
// The error is the client's fault.
func (u *upload) over() error {
	u.task.Wait()
	u.running = false
	if u.fault != nil {
		return u.fault
	}
	if u.x.conn.Halted() {
		return clientGone(stream.ErrStopped) // the whole proxy ends
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
