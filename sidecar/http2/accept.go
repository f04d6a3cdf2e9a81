package http2

import (
	"bufio"
	"errors"
	"io"
	"maps"
	"net/http"
	"sync"
	"time"

	"outrider/sidecar/stream"
)

// clientPatience is how long a client may take nothing of what is there for it: as
// long as a body may be silent by default.
const clientPatience = 5 * time.Minute

// bufferSize is how much of a body is taken at a time.
const bufferSize = 16 << 10

//nolint:gochecknoglobals // memory that is lent
var (
	buffers = sync.Pool{New: func() any { b := make([]byte, bufferSize); return &b }}
	readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, bufferSize) }}
)

// Accept carries out a stream that a client has opened, over near: at whose far end
// serve, once it is called, is to carry out one exchange of HTTP/1.1. It returns
// when the exchange is over, and panics with http.ErrAbortHandler to reset a stream
// whose response is not whole.
func Accept(w http.ResponseWriter, r *http.Request, near *stream.End, serve func()) {
	head, chunked, err := appendStart(make([]byte, 0, 1<<10), r)
	if err != nil {
		near.Abort(err)
		refuse(w, err)
		return
	}
	lost := onDone(r, near)
	defer lost()
	defer func() { _ = near.Close() }()
	near.Begin(head)
	serve()
	if r.Body != nil && r.Body != http.NoBody && !opensTunnel(r) {
		var uploading sync.WaitGroup
		uploading.Go(func() { upload(near, r, chunked) })
		defer uploading.Wait()
		defer r.Body.Close() // which ends the upload
		defer func() { _ = near.Close() }()
	}
	if err := respond(w, r, near); err != nil {
		panic(http.ErrAbortHandler)
	}
}

// onDone aborts near when the client resets the stream, or is gone. It returns what
// takes that back.
func onDone(r *http.Request, near *stream.End) (stop func()) {
	ctx, over := r.Context(), make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		select {
		case <-ctx.Done():
			near.Abort(errGone)
		case <-over:
		}
	})
	return func() {
		close(over)
		watching.Wait()
	}
}

var errGone = errors.New("the client has reset the stream")

// TurnAway answers a stream that there is no room for: 503, or what gRPC has for that.
func TurnAway(w http.ResponseWriter, r *http.Request, why string) {
	h := w.Header()
	h.Set("Retry-After", "1")
	if isGRPC(r.Header) {
		h.Set("Content-Type", "application/grpc")
		h.Set("Grpc-Status", "14")
		h.Set("Grpc-Message", why)
		return
	}
	h.Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = io.WriteString(w, why+"\n")
}

// refuse answers a request that is malformed.
func refuse(w http.ResponseWriter, err error) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(http.StatusBadRequest)
	_, _ = io.WriteString(w, "outrider: 400 "+err.Error()+"\n")
}

// upload passes a request's body on. One that is cut cuts the exchange.
func upload(near *stream.End, r *http.Request, chunked bool) {
	if err := writeBody(near, r.Body, chunked, func() http.Header { return r.Trailer }); err != nil {
		near.Abort(err)
	}
}

// respond passes the response on. The error is that of one that is cut.
func respond(w http.ResponseWriter, r *http.Request, near *stream.End) error {
	from := readers.Get().(*bufio.Reader)
	from.Reset(near)
	defer func() {
		from.Reset(nil)
		readers.Put(from)
	}()
	for {
		response, err := http.ReadResponse(from, r)
		if err != nil {
			return err
		}
		header := w.Header()
		if response.StatusCode == http.StatusSwitchingProtocols {
			return tunnel(w, r, response, near, from)
		}
		interim := response.StatusCode < http.StatusOK
		if interim && response.StatusCode != http.StatusContinue { // net/http says 100 itself, once the body is read
			copyHeader(header, response)
			w.WriteHeader(response.StatusCode)
			clear(header)
		}
		if interim {
			continue
		}
		copyHeader(header, response)
		if _, typed := header["Content-Type"]; !typed {
			header["Content-Type"] = nil // or net/http guesses
		}
		w.WriteHeader(response.StatusCode)
		return passBody(w, response, from)
	}
}

func copyHeader(to http.Header, response *http.Response) {
	for name, values := range response.Header {
		switch name {
		case "Connection", "Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Upgrade":
		default:
			to[name] = values
		}
	}
	for _, name := range names(response.Trailer) {
		to.Add("Trailer", name)
	}
	if response.StatusCode == http.StatusNotModified {
		delete(to, "Content-Length") // that of a body which does not come: Go's own clients wait for it
	}
}

// passBody passes on what is there, and what trails it.
func passBody(w http.ResponseWriter, response *http.Response, from *bufio.Reader) error {
	defer response.Body.Close()
	control := http.NewResponseController(w)
	lent := buffers.Get().(*[]byte)
	defer buffers.Put(lent)
	announced := maps.Clone(response.Trailer)
	for first := true; ; first = false {
		if first && from.Buffered() == 0 && response.ContentLength != 0 {
			if err := control.Flush(); err != nil { // the head; more may come late
				return err
			}
		}
		n, err := response.Body.Read(*lent)
		if n > 0 {
			_ = control.SetWriteDeadline(time.Now().Add(clientPatience))
			if _, err := w.Write((*lent)[:n]); err != nil {
				return err
			}
			if err == nil && from.Buffered() == 0 {
				if err := control.Flush(); err != nil {
					return err
				}
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	for name, values := range response.Trailer {
		if _, told := announced[name]; !told {
			name = http.TrailerPrefix + name
		}
		w.Header()[name] = values
	}
	return nil
}
