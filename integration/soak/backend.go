package main

import (
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

// mood is how a backend behaves.
type mood int32

const (
	well     mood = iota
	slow          // up to 300 ms
	resets        // one request in three
	fails         // one in three, with 500
	stalls        // longer than the sidecars wait
	hasty         // answers half of the requests before their body
	breaksIn      // inside one answer in three
	moods
)

// backend is a server that takes and gives bodies whose sums are told.
type backend struct {
	address string
	http2   bool // as well, in cleartext
	mood    atomic.Int32
	server  *http.Server // nil: it is down
}

func (b *backend) start() error {
	ln, err := net.Listen("tcp", b.address)
	if err != nil {
		return fmt.Errorf("a backend: %w", err)
	}
	b.server = &http.Server{Handler: http.HandlerFunc(b.serve), Protocols: new(http.Protocols)}
	b.server.Protocols.SetHTTP1(true)
	b.server.Protocols.SetUnencryptedHTTP2(b.http2)
	go func(s *http.Server) { _ = s.Serve(ln) }(b.server)
	return nil
}

func (b *backend) stop() {
	if b.server != nil {
		_ = b.server.Close()
		b.server = nil
	}
}

func (b *backend) serve(w http.ResponseWriter, r *http.Request) {
	one := func(of int) bool { return rand.IntN(of) == 0 }
	switch now := mood(b.mood.Load()); {
	case now == slow:
		time.Sleep(time.Duration(rand.IntN(300)) * time.Millisecond)
	case now == stalls:
		time.Sleep(3 * time.Second)
	case now == resets && one(3):
		panic(http.ErrAbortHandler)
	case now == fails && one(3):
		w.WriteHeader(http.StatusInternalServerError)
		return
	case now == hasty && one(2):
		w.WriteHeader(http.StatusForbidden)
		return
	case now == breaksIn && one(3):
		_, _ = w.Write(make([]byte, rand.IntN(100_000)))
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	if r.Method == http.MethodPost {
		take(w, r.Body)
		return
	}
	size, _ := strconv.Atoi(r.URL.Query().Get("size"))
	give(w, size, r.URL.Query().Has("chunked"))
}

// take reads a body, and tells its sum.
func take(w http.ResponseWriter, body io.Reader) {
	sum := crc32.NewIEEE()
	if _, err := io.Copy(sum, body); err != nil {
		return
	}
	w.Header().Set(sumField, fmt.Sprint(sum.Sum32()))
	_, _ = io.WriteString(w, "taken")
}

// give writes so many bytes, and tells their sum.
func give(w http.ResponseWriter, size int, chunked bool) {
	body := make([]byte, size)
	for i := range body {
		body[i] = byte(i * 7)
	}
	w.Header().Set(sumField, fmt.Sprint(crc32.ChecksumIEEE(body)))
	if !chunked {
		w.Header().Set("Content-Length", strconv.Itoa(size))
		_, _ = w.Write(body)
		return
	}
	for len(body) > 0 {
		piece := min(len(body), 1+rand.IntN(9000))
		_, _ = w.Write(body[:piece])
		body = body[piece:]
		if rand.IntN(4) == 0 {
			w.(http.Flusher).Flush()
		}
	}
}

// sumField tells the CRC-32 of a body.
const sumField = "X-Sum"
