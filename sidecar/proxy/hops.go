package proxy

import (
	"net/http"
	"strconv"

	"outrider/sidecar/http1"
)

// hops is how far an OPTIONS request may still go (RFC 9110, 7.6.2). Other
// methods may carry a Max-Forwards too, which then means nothing.
type hops struct {
	counted bool
	left    uint64
}

// countHops reads how far the request may go.
func (x *exchange) countHops() error {
	v, limited := x.req.Lookup(x.head, http1.MaxForwards)
	if !limited || string(x.req.Method.Of(x.head)) != http.MethodOptions {
		return nil
	}
	left, err := strconv.ParseUint(string(v), 10, 63)
	if err != nil || v[0] == '+' {
		return &Fault{
			Status: http.StatusBadRequest, Type: "http_request_error",
			Detail: "Max-Forwards is not a number (RFC 9110, 7.6.2)",
		}
	}
	x.hops = hops{counted: true, left: left}
	return nil
}

// endsHere tells that the request must not go on: we are its recipient.
func (x *exchange) endsHere() bool { return x.hops.counted && x.hops.left == 0 }

// ownOptions answers OPTIONS for the proxy itself.
func ownOptions() *Respond {
	return &Respond{Status: http.StatusOK, Header: [][2]string{{"Allow", allowedMethods}}}
}

func (x *exchange) appendMaxForwards(dst []byte) []byte {
	if !x.hops.counted {
		return dst
	}
	dst = append(dst, "Max-Forwards: "...)
	dst = strconv.AppendUint(dst, x.hops.left-1, 10)
	return append(dst, "\r\n"...)
}
