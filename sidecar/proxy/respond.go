package proxy

import (
	"fmt"
	"net/http"
	"strings"

	"outrider/sidecar/http1"
)

// respond gives the router's own answer.
func (x *exchange) respond(r *Respond) error {
	stays := x.discardBody() && x.mayStay()
	head, err := x.appendRespond(x.down[:0], r, stays)
	if err != nil {
		return &Fault{
			Status: http.StatusInternalServerError, Type: "proxy_configuration_error",
			Detail: "the routing script gave an answer that can not be sent", Err: err,
		}
	}
	x.down = head
	x.reach(Answering)
	x.status, x.began = r.Status, true
	if !stays {
		x.ending = loiter
	}
	return x.flush()
}

func (x *exchange) appendRespond(dst []byte, r *Respond, stays bool) ([]byte, error) {
	if r.Status < 200 || r.Status > 599 {
		return dst, fmt.Errorf("status %d is not a final status (200-599)", r.Status)
	}
	dst = x.appendStatusLine(dst, r.Status, reasonPhrase(r.Status))
	for _, f := range r.Header {
		if http1.HopByHop(f[0]) {
			return dst, fmt.Errorf("field %s belongs to the connection, not to the answer", f[0])
		}
		var err error
		if dst, err = http1.AppendField(dst, f[0], f[1]); err != nil {
			return dst, err
		}
	}
	if !hasDate(r.Header) {
		dst = x.server.appendDate(dst)
	}
	dst = append(dst, "Proxy-Status: "+x.settings.Name+"; details=\"answered here, without a backend\"\r\n"...)
	dst = x.appendReveal(dst)
	bodyAllowed := http1.BodyAllowed(r.Status, false)
	if bodyAllowed {
		dst = http1.AppendFraming(dst, http1.Framing{Kind: http1.Length, Length: int64(len(r.Body))})
	}
	dst = append(x.appendConnection(dst, stays), "\r\n"...)
	if bodyAllowed && !x.req.IsHead {
		dst = append(dst, r.Body...)
	}
	return dst, nil
}

func hasDate(header [][2]string) bool {
	for _, f := range header {
		if strings.EqualFold(f[0], "Date") {
			return true
		}
	}
	return false
}

func reasonPhrase(status int) []byte { return []byte(http.StatusText(status)) }
