package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"syscall"
	"time"
)

// patience is longer than any answer may take: two tries of 2 s and a retry each, on
// a machine that is busy.
const patience = 30 * time.Second

// protocol is one that a client speaks.
type protocol struct {
	name    string
	secure  bool
	version func(*http.Protocols)
}

func protocols() []protocol {
	http1 := func(p *http.Protocols) { p.SetHTTP1(true) }
	return []protocol{
		{"HTTP/1.1", false, http1},
		{"HTTP/1.1 over TLS", true, http1},
		{"HTTP/2 over TLS", true, func(p *http.Protocols) { p.SetHTTP2(true) }},
		{"HTTP/2", false, func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) }},
	}
}

// client asks, one request after the other.
type client struct {
	stage *stage
	by    protocol
	http  *http.Client
}

func (s *stage) newClient(by protocol) *client {
	speaks := new(http.Protocols)
	by.version(speaks)
	return &client{s, by, &http.Client{Timeout: patience, Transport: &http.Transport{
		Protocols: speaks, MaxIdleConnsPerHost: 8, DisableCompression: true,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // the certificate changes, and proves nothing here
	}}}
}

func (c *client) work(ctx context.Context) {
	for ctx.Err() == nil {
		c.ask()
		if rand.IntN(300) == 0 {
			c.http.CloseIdleConnections()
		}
	}
	c.http.CloseIdleConnections()
}

func (c *client) address() string {
	to := c.stage.sidecars[rand.IntN(len(c.stage.sidecars))]
	switch {
	case c.by.secure:
		return "https://" + to.secure
	case rand.IntN(10) == 0:
		return "http://" + to.side // which comes and goes
	}
	return "http://" + to.plain
}

// ask sends a request, and looks at what comes back. Now and then it leaves first.
func (c *client) ask() {
	ctx, leave := context.WithCancel(context.Background())
	defer leave()
	if rand.IntN(15) == 0 {
		time.AfterFunc(time.Duration(rand.IntN(20))*time.Millisecond, leave)
	}
	request, sum := c.request(ctx)
	answer, err := c.http.Do(request)
	if err == nil {
		defer answer.Body.Close()
		err = c.judge(answer, sum)
	}
	switch {
	case err == nil:
		c.count(fmt.Sprint(answer.StatusCode))
	case ctx.Err() != nil:
		c.count("left")
	case isTimeout(err):
		c.stage.tally.accuse("%s %s by %s has no answer after %v: %v", request.Method, request.URL, c.by.name, patience, err)
	case answer != nil && answer.StatusCode == http.StatusOK:
		c.count("cut off")
	case answer != nil:
		c.stage.tally.accuse("%s %s by %s: an answer of %d is cut off: %v", request.Method, request.URL, c.by.name, answer.StatusCode, err)
	case errors.Is(err, syscall.ECONNREFUSED):
		c.count("refused")
	default:
		c.count("lost") // on a connection that a restart has ended
	}
}

func (c *client) count(what string) { c.stage.tally.count(c.by.name + ": " + what) }

func isTimeout(err error) bool {
	u, ok := errors.AsType[*url.Error](err)
	return ok && u.Timeout() || errors.Is(err, context.DeadlineExceeded)
}

// request is one that a backend answers with bytes, or that brings it some, whose sum
// this is.
func (c *client) request(ctx context.Context) (r *http.Request, sum string) {
	to := c.address() + []string{"/one/x", "/two/x", "/h2/x"}[rand.IntN(3)]
	method, body := http.MethodGet, io.Reader(nil)
	switch rand.IntN(3) {
	case 0:
		to += fmt.Sprintf("?size=%d", rand.IntN(200_000))
	case 1:
		to += fmt.Sprintf("?chunked&size=%d", rand.IntN(200_000))
	default:
		sent := make([]byte, rand.IntN(150_000))
		for i := range sent {
			sent[i] = byte(rand.Uint32())
		}
		method, body, sum = http.MethodPost, bytes.NewReader(sent), fmt.Sprint(crc32.ChecksumIEEE(sent))
		if rand.IntN(2) == 0 {
			body = struct{ io.Reader }{body} // of unknown length
		}
	}
	r, err := http.NewRequestWithContext(ctx, method, to, body)
	if err != nil {
		panic(err) // it is made of constants and numbers
	}
	return r, sum
}

// judge reads an answer to its end. sum is that of what was sent; empty: the answer
// tells that of its own body.
func (c *client) judge(answer *http.Response, sum string) error {
	read := crc32.NewIEEE()
	if _, err := io.Copy(read, answer.Body); err != nil {
		return err
	}
	switch told := answer.Header.Get(sumField); answer.StatusCode {
	case http.StatusOK:
		if sum == "" {
			sum = fmt.Sprint(read.Sum32())
		}
		if told != sum {
			c.stage.tally.accuse("%s %s by %s: the sum is %q, not %s", answer.Request.Method, answer.Request.URL, c.by.name, told, sum)
		}
	case http.StatusForbidden, http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
	default:
		c.stage.tally.accuse("%s %s by %s: status %d", answer.Request.Method, answer.Request.URL, c.by.name, answer.StatusCode)
	}
	return nil
}

// pipeline sends some requests at once, and reads the answers, or leaves in between.
func (s *stage) pipeline(ctx context.Context) {
	for ctx.Err() == nil {
		if err := s.sendPipeline(s.sidecars[rand.IntN(len(s.sidecars))].plain); isTimeout(err) {
			s.tally.accuse("a pipeline has no answer after %v", patience)
		}
	}
}

func (s *stage) sendPipeline(address string) error {
	nc, err := net.Dial("tcp", address)
	if err != nil {
		time.Sleep(10 * time.Millisecond)
		return err
	}
	defer func() { _ = nc.Close() }()
	_ = nc.SetDeadline(time.Now().Add(patience))
	requests := 1 + rand.IntN(5)
	if _, err := nc.Write(bytes.Repeat([]byte("GET /one/pipelined HTTP/1.1\r\nHost: soak\r\n\r\n"), requests)); err != nil {
		return err
	}
	switch rand.IntN(4) {
	case 0:
		_, err := io.WriteString(nc, "GET /one/ HT")
		return err
	case 1:
		return nc.(*net.TCPConn).SetLinger(0)
	}
	from := bufio.NewReader(nc)
	for range requests {
		answer, err := http.ReadResponse(from, nil)
		if err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, answer.Body); err != nil || answer.Close {
			return err
		}
		s.tally.count(fmt.Sprintf("pipelined: %d", answer.StatusCode))
	}
	return nil
}
