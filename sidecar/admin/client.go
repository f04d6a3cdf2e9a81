package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"syscall"
	"time"
)

const (
	statusWait = 10 * time.Second
	maxAnswer  = 16 << 20 // bytes
)

// Client asks the admin listener of a running sidecar.
type Client struct {
	Address string // host:port, as in admin.listen; without a host, or with an unspecified one, it is this machine
	Token   string // empty sends none
}

// Status is what the sidecar says of itself. It waits ten seconds at most.
func (c Client) Status(ctx context.Context) (Status, error) {
	var status Status
	err := c.ask(ctx, question{method: http.MethodGet, path: "/status", wait: statusWait}, &status)
	return status, err
}

// Reload has the sidecar activate the files as they are now. The error says why
// it refused; then everything is as it was before.
func (c Client) Reload(ctx context.Context) error {
	return c.ask(ctx, question{method: http.MethodPost, path: "/reload", wait: writeTimeout}, new(reloaded))
}

// Rollback has the sidecar make the version of the script before the active one
// active again; that version is returned. The error says why it can not.
func (c Client) Rollback(ctx context.Context) (ScriptStatus, error) {
	var answer struct {
		Script ScriptStatus `json:"script"`
	}
	err := c.ask(ctx, question{method: http.MethodPost, path: "/rollback", wait: writeTimeout}, &answer)
	return answer.Script, err
}

// Peers is what the sidecar knows of the others.
func (c Client) Peers(ctx context.Context) (PeersStatus, error) {
	var s PeersStatus
	err := c.ask(ctx, question{method: http.MethodGet, path: "/peers", wait: statusWait}, &s)
	return s, err
}

// Health is every backend, and what each sidecar says of it.
func (c Client) Health(ctx context.Context) (HealthStatus, error) {
	var s HealthStatus
	err := c.ask(ctx, question{method: http.MethodGet, path: "/health", wait: statusWait}, &s)
	return s, err
}

// Drain has the sidecar ask its peers to send no new requests to what it stands
// before; with undo, it takes that back.
func (c Client) Drain(ctx context.Context, undo bool) (DrainStatus, error) {
	path := "/drain"
	if undo {
		path = "/undrain"
	}
	var s DrainStatus
	err := c.ask(ctx, question{method: http.MethodPost, path: path, wait: statusWait}, &s)
	return s, err
}

// Invite makes a link to the dashboard, which lets one browser in, once, within an hour.
func (c Client) Invite(ctx context.Context) (link string, err error) {
	var i Invitation
	if err := c.ask(ctx, question{method: http.MethodPost, path: "/invite", wait: statusWait}, &i); err != nil {
		return "", err
	}
	return Link(c.Address, i.Word)
}

// Link is where a browser on this machine finds the dashboard of an admin listener, and
// is let in by a word of its [Sessions]. What follows the # is sent to nobody until the
// page hands it in.
func Link(address, word string) (string, error) {
	at, err := dialable(address)
	return "http://" + at + "/#in=" + word, err
}

// Decisions are the recorded decisions of the script, as JSON lines; with an id the
// one on that request.
func (c Client) Decisions(ctx context.Context, id string) ([]byte, error) {
	path := "/decisions"
	if id != "" {
		path += "?" + url.Values{"id": {id}}.Encode()
	}
	var lines []byte
	err := c.ask(ctx, question{method: http.MethodGet, path: path, wait: statusWait}, &lines)
	return lines, err
}

// Explain has the sidecar explain a made-up request.
func (c Client) Explain(ctx context.Context, q Question) (Explanation, error) {
	body, err := json.Marshal(q)
	if err != nil {
		return Explanation{}, err
	}
	var e Explanation
	err = c.ask(ctx, question{method: http.MethodPost, path: "/explain", wait: statusWait, body: body}, &e)
	return e, err
}

// Recall is what has happened to the request with an id.
func (c Client) Recall(ctx context.Context, id string) (Explanation, error) {
	var e Explanation
	err := c.ask(ctx, question{method: http.MethodGet, path: "/explain?" + url.Values{"id": {id}}.Encode(), wait: statusWait}, &e)
	return e, err
}

type question struct {
	method, path string
	wait         time.Duration
	body         []byte // JSON; nil: none
}

// ask sends q and reads the answer into answer.
func (c Client) ask(ctx context.Context, q question, answer any) error {
	address, err := dialable(c.Address)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, q.wait)
	defer cancel()
	response, err := c.send(ctx, q, address)
	if err != nil {
		return unreachable(address, err)
	}
	defer response.Body.Close()

	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return unreachable(address, err)
	}
	if response.StatusCode != http.StatusOK {
		return refusedBy(address, response, text)
	}
	if whole, ok := answer.(*[]byte); ok {
		*whole = text
		return nil
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return stranger(address, response)
	}
	return nil
}

// send uses a transport of its own: no proxy, no connection kept. It follows no
// redirect, so the token goes nowhere else.
func (c Client) send(ctx context.Context, q question, address string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, q.method, "http://"+address+q.path, bytes.NewReader(q.body))
	if err != nil {
		return nil, err
	}
	if q.body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if c.Token != "" {
		request.Header.Set("Authorization", "Bearer "+c.Token)
	}
	return (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
}

// dialable is where to find, from this machine, what listens on address.
func dialable(address string) (string, error) {
	if address == "" {
		return "", errors.New("the admin listener is off: set admin.listen, for instance to 127.0.0.1:6189")
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", fmt.Errorf("%q is not an address: write host:port, for instance 127.0.0.1:6189", address)
	}
	ip, _ := netip.ParseAddr(host)
	switch {
	case host == "" || ip == netip.IPv4Unspecified():
		host = "127.0.0.1"
	case ip == netip.IPv6Unspecified():
		host = "::1"
	}
	return net.JoinHostPort(host, port), nil
}

// ErrNobody is the error of a question to an address on which nothing listens.
var ErrNobody = errors.New("is outrider running, and is admin.listen the same in this configuration?")

func unreachable(address string, err error) error {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("nothing listens on %s: %w", address, ErrNobody)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("%s does not answer in time: %w", address, err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return fmt.Errorf("%s closed the connection before its answer was whole: is it the admin listener, or is outrider stopping?", address)
	}
	return fmt.Errorf("ask %s: %w", address, err)
}

func refusedBy(address string, response *http.Response, text []byte) error {
	var refused refusal
	if err := json.Unmarshal(text, &refused); err != nil || refused.Text == "" {
		return stranger(address, response)
	}
	if response.StatusCode == http.StatusUnprocessableEntity {
		return errors.New("refused: " + refused.Text)
	}
	return fmt.Errorf("%s answers: %s", address, refused.Text)
}

func stranger(address string, response *http.Response) error {
	return fmt.Errorf("%s answers %q, but not as outrider's admin listener does: is admin.listen the same in this configuration?",
		address, response.Status)
}
