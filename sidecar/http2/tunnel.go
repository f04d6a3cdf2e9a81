package http2

import (
	"bufio"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"outrider/sidecar/http1"
	"outrider/sidecar/stream"
)

// protocolField is where net/http has :protocol (RFC 8441, 4), which it lets pass only
// with GODEBUG=http2xconnect=1 in the environment of the process.
const protocolField = ":protocol"

func opensTunnel(r *http.Request) bool { return r.Header[protocolField] != nil }

// appendStart appends the head of what a stream asks for: a request, or a WebSocket.
func appendStart(dst []byte, r *http.Request) (head []byte, chunked bool, err error) {
	if !opensTunnel(r) {
		return appendRequest(dst, r)
	}
	head, err = appendOpening(dst, r)
	return head, false, err
}

// appendOpening appends the head of the request that opens a WebSocket over HTTP/1.1,
// for one that does so over HTTP/2, where there are no keys (RFC 8441, 5).
func appendOpening(dst []byte, r *http.Request) ([]byte, error) {
	if protocol := r.Header.Get(protocolField); protocol != "websocket" {
		return dst, fmt.Errorf("the protocol of an extended CONNECT can be websocket, not %q", protocol)
	}
	opening := r.Clone(r.Context())
	opening.Method, opening.ContentLength = http.MethodGet, 0
	delete(opening.Header, protocolField)
	if len(opening.Header["Content-Length"]) > 0 {
		return dst, errors.New("an extended CONNECT has no length")
	}
	dst, _, err := appendRequest(dst, opening)
	if err != nil {
		return dst, err
	}
	key := make([]byte, 16)
	_, _ = rand.Read(key) // crypto/rand never fails: it ends the program instead
	dst = dst[:len(dst)-len("Connection: close\r\n\r\n")]
	if dst, err = http1.AppendField(dst, "Sec-WebSocket-Key", base64.StdEncoding.EncodeToString(key)); err != nil {
		return dst, err
	}
	return append(dst, "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"...), nil
}

// tunnel passes bytes in both directions, once the backend has opened the WebSocket.
// The end of one leaves the other open.
func tunnel(w http.ResponseWriter, r *http.Request, opened *http.Response, near *stream.End, from *bufio.Reader) error {
	copyHeader(w.Header(), opened)
	delete(w.Header(), "Sec-Websocket-Accept")
	w.Header()["Content-Type"] = nil
	w.WriteHeader(http.StatusOK)
	control := http.NewResponseController(w)
	if err := control.Flush(); err != nil {
		return err
	}
	var upward sync.WaitGroup
	upward.Go(func() {
		if _, err := io.Copy(near, r.Body); err != nil {
			near.Abort(err)
			return
		}
		_ = near.CloseWrite()
	})
	defer upward.Wait()
	defer r.Body.Close() // which ends it
	lent := buffers.Get().(*[]byte)
	defer buffers.Put(lent)
	for {
		n, err := from.Read(*lent)
		if n > 0 {
			_ = control.SetWriteDeadline(time.Now().Add(clientPatience))
			if _, err := w.Write((*lent)[:n]); err != nil {
				return err
			}
			if err := control.Flush(); err != nil {
				return err
			}
		}
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}
