// Command unary is what the C program of the folder backend is, two servers in one
// process, for HTTP/2 in cleartext: a call of gRPC it answers with a message of the
// same length, anything else with the body that the benchmark expects.
//
//	unary body-bytes empty-lines
//
// The second argument means nothing here.
package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
)

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "unary:", err)
		os.Exit(1)
	}
}

func run(arguments []string, in io.Reader, out io.Writer) error {
	if len(arguments) != 2 {
		return fmt.Errorf("%d arguments, want body-bytes empty-lines", len(arguments))
	}
	size, err := strconv.Atoi(arguments[0])
	if err != nil {
		return err
	}
	var counted [2]atomic.Int64
	failed := make(chan error, 3)
	for i, name := range []string{"one", "two"} {
		ln, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			return err
		}
		defer ln.Close()
		if _, err := fmt.Fprintf(out, "%s %d\n", name, ln.Addr().(*net.TCPAddr).Port); err != nil {
			return err
		}
		server := newServer(name+strings.Repeat(".", max(0, size-len(name))), &counted[i])
		go func() { failed <- server.Serve(ln) }()
	}
	go func() {
		asked := bufio.NewReader(in)
		for {
			if _, err := asked.ReadByte(); err != nil {
				failed <- nil // who started this has ended
				return
			}
			fmt.Fprintf(out, "one %d two %d\n", counted[0].Load(), counted[1].Load())
		}
	}()
	return <-failed
}

func newServer(body string, counted *atomic.Int64) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{Protocols: protocols, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		counted.Add(1)
		if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
			_, _ = io.WriteString(w, body)
			return
		}
		message, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		w.Header().Set("Content-Type", "application/grpc")
		_, _ = w.Write(message)
		w.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
	})}
}
