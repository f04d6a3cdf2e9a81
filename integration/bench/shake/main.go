// Command shake makes connections over TLS, each with a handshake of its own and one
// request, as fast as they come; or, with streams, sends requests over connections of
// HTTP/2 that stay, four at a time over each; with calls these are unary ones of gRPC.
//
//	shake host:port path seconds connections full|resumed|streams|calls
//
// It prints one line, as pace does. A request is bad when its answer is not 200, and a
// resumed one also when the server wanted a whole handshake again, one of a stream also
// when it is not in HTTP/2.
package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "shake:", err)
		os.Exit(1)
	}
}

// visitor makes one connection after the other.
type visitor struct {
	address, path string
	config        *tls.Config
	client        *http.Client // for streams and calls
	calls         bool
	took          []time.Duration
	bad           int
}

func run(arguments []string, out io.Writer) error {
	if len(arguments) != 5 {
		return fmt.Errorf("%d arguments, want host:port path seconds connections full|resumed|streams|calls", len(arguments))
	}
	seconds, err := strconv.Atoi(arguments[2])
	if err != nil {
		return err
	}
	connections, err := strconv.Atoi(arguments[3])
	if err != nil {
		return err
	}
	visitors := make([]*visitor, connections)
	errs := make([]error, connections)
	var tasks sync.WaitGroup
	began := time.Now()
	end := began.Add(time.Duration(seconds) * time.Second)
	for i := range visitors {
		v := &visitor{address: arguments[0], path: arguments[1], config: settings(arguments[4] == "resumed")}
		visitors[i] = v
		if v.calls = arguments[4] == "calls"; v.calls || arguments[4] == "streams" {
			v.client = overOne(v.config)
			if i%perConnection > 0 {
				v.client = visitors[i-1].client
			}
		}
		tasks.Go(func() { errs[i] = v.visitUntil(end) })
	}
	tasks.Wait()
	return report(out, visitors, errs, time.Since(began))
}

// settings are the same for all servers: which of them has the faster key exchange of
// its own choice is another question.
func settings(resumes bool) *tls.Config {
	c := &tls.Config{
		InsecureSkipVerify: true, //nolint:gosec // whose certificate it is does not matter here
		CurvePreferences:   []tls.CurveID{tls.X25519}, MinVersion: tls.VersionTLS13,
	}
	if resumes {
		c.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	}
	return c
}

func (v *visitor) visitUntil(end time.Time) error {
	if v.config.ClientSessionCache != nil {
		if _, err := v.visit(); err != nil { // brings the first session
			return err
		}
	}
	for {
		began := time.Now()
		if !began.Before(end) {
			return nil
		}
		good, err := v.visit()
		if err != nil {
			return err
		}
		v.took = append(v.took, time.Since(began))
		if !good {
			v.bad++
		}
	}
}

// perConnection is how many visitors share a connection of HTTP/2.
const perConnection = 4

// overOne is a client that speaks HTTP/2 over one connection.
func overOne(config *tls.Config) *http.Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	return &http.Client{Transport: &http.Transport{TLSClientConfig: config, Protocols: protocols, DisableCompression: true}}
}

// ask is one stream, from the request to the end of the answer.
func (v *visitor) ask() (good bool, err error) {
	request, err := http.NewRequest(http.MethodGet, "https://"+v.address+v.path, http.NoBody)
	if err != nil {
		return false, err
	}
	if v.calls {
		request.Method, request.Body, request.ContentLength = http.MethodPost, io.NopCloser(bytes.NewReader(message[:])), int64(len(message))
		request.Header = http.Header{"Content-Type": {"application/grpc"}, "Te": {"trailers"}}
	}
	response, err := v.client.Do(request)
	if err != nil {
		return false, err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return false, err
	}
	good = response.StatusCode == http.StatusOK && response.ProtoMajor == 2
	return good && (!v.calls || response.Trailer.Get("Grpc-Status") == "0"), nil
}

// message is one of gRPC, of 123 bytes, in its frame.
//
//nolint:gochecknoglobals // immutable
var message = [128]byte{4: 123}

// visit is one connection, from the dial to the answer; or one stream.
func (v *visitor) visit() (good bool, err error) {
	if v.client != nil {
		return v.ask()
	}
	conn, err := tls.Dial("tcp", v.address, v.config)
	if err != nil {
		return false, err
	}
	defer func() { _ = conn.Close() }() // all has been said
	resumed := conn.ConnectionState().DidResume
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", v.path, v.address); err != nil {
		return false, err
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return false, err
	}
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return false, err
	}
	return response.StatusCode == http.StatusOK && resumed == (v.config.ClientSessionCache != nil), nil
}

func report(out io.Writer, visitors []*visitor, errs []error, took time.Duration) error {
	var all []time.Duration
	bad := 0
	for i, v := range visitors {
		if errs[i] != nil {
			return errs[i]
		}
		all, bad = append(all, v.took...), bad+v.bad
	}
	if len(all) == 0 {
		return fmt.Errorf("no answer in %v", took)
	}
	slices.Sort(all)
	at := func(p float64) int64 { return all[min(len(all)-1, int(p*float64(len(all))))].Microseconds() }
	_, err := fmt.Fprintf(out, "requests %d bad %d took %d p50 %d p99 %d p999 %d\n", len(all), bad, took.Microseconds(), at(0.5), at(0.99), at(0.999))
	return err
}
