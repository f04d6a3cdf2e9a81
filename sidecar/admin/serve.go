package admin

import (
	"context"
	"fmt"
	"log" //nolint:depguard // http.Server takes no other logger
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
)

const (
	headTimeout  = 5 * time.Second
	bodyTimeout  = 10 * time.Second
	writeTimeout = 2 * time.Minute // from the end of the head: the longest a reload may take, too
	idleTimeout  = time.Minute
	maxHead      = 16 << 10 // bytes
	endGrace     = 2 * time.Second
)

// Serve answers what comes in on ln with h until ctx is done, and closes ln. Then
// requests that run have two seconds to finish before their contexts end. No
// goroutine is left when it returns. The error is nil when ctx ended it.
func Serve(ctx context.Context, ln net.Listener, h http.Handler, log logrus.FieldLogger) error {
	var open sync.WaitGroup // connections
	server := newServer(withEnd(h, ctx.Done()), log, &open)
	ended := make(chan error, 1)
	open.Go(func() { ended <- server.Serve(ln) })
	defer open.Wait()

	select {
	case err := <-ended:
		_ = server.Close()
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("serve on %s: %w", ln.Addr(), err)
	case <-ctx.Done():
		finish(server, log)
		<-ended            //nolint:errcheck // what ended it is ctx
		_ = server.Close() // what did not finish, and what came too late for Shutdown to see
		return nil
	}
}

func newServer(h http.Handler, log logrus.FieldLogger, open *sync.WaitGroup) *http.Server {
	return &http.Server{
		Handler:           withBodyTimeout(h),
		ReadHeaderTimeout: headTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHead,
		ErrorLog:          complaints(log),
		ConnState:         count(open),

		DisableGeneralOptionsHandler: true,
	}
}

// withBodyTimeout bounds the time that a body may take, also one that h leaves
// unread. http.Server's ReadTimeout would go on running once the body was read
// and cancel a request for taking long to answer.
func withBodyTimeout(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 {
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout))
		}
		h.ServeHTTP(w, r)
	})
}

// count keeps open waiting for every connection's goroutine, which
// http.Server.Close does not.
func count(open *sync.WaitGroup) func(net.Conn, http.ConnState) {
	return func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			open.Add(1)
		case http.StateClosed, http.StateHijacked:
			open.Done()
		}
	}
}

// finish stops accepting and gives the requests that run time to end.
func finish(server *http.Server, log logrus.FieldLogger) {
	soon, cancel := context.WithTimeout(context.Background(), endGrace)
	defer cancel()
	if err := server.Shutdown(soon); err != nil {
		log.WithError(err).Debug("admin: connections that did not end in time are closed")
	}
}

// complaints is where http.Server writes what it cannot return.
func complaints(to logrus.FieldLogger) *log.Logger { return log.New(warnings{to}, "", 0) }

type warnings struct{ log logrus.FieldLogger }

func (w warnings) Write(line []byte) (int, error) {
	w.log.Warn("admin: " + strings.TrimSpace(string(line)))
	return len(line), nil
}
