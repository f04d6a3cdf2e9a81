package proxy

import (
	"bytes"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"outrider/sidecar/http1"
)

// appendRequestHead appends the head that goes upstream: our own framing, host
// and forwarding fields, and of the client's what is not for us alone.
func (x *exchange) appendRequestHead(dst []byte) []byte {
	edits := x.decision.RequestHeaders
	dst = append(dst, x.req.Method.Of(x.head)...)
	dst = append(dst, ' ')
	dst = x.appendTarget(dst)
	dst = append(dst, " HTTP/1.1\r\nHost: "...)
	dst = x.appendHost(dst)
	dst = append(dst, "\r\n"...)
	dst = x.appendKept(dst, &x.req.Head, x.head, edits, x.dropsRequestField)
	dst = x.appendForwarded(dst)
	dst = x.appendMaxForwards(dst)
	dst = x.appendVia(dst)
	if !edited(edits, "X-Request-Id") {
		dst = append(dst, "X-Request-Id: "...)
		dst = append(dst, x.requestID()...)
		dst = append(dst, "\r\n"...)
	}
	dst = appendEdits(dst, edits)
	if x.req.Body().Kind == http1.Chunked {
		dst = appendTrailerField(dst, &x.req.Head, x.head)
	}
	dst = http1.AppendFraming(dst, x.req.Body())
	return append(x.appendRequestConnection(dst), "\r\n"...)
}

// appendVia appends who has passed the request on (RFC 9110, 7.6.3).
func (x *exchange) appendVia(dst []byte) []byte {
	if x.client.stream {
		dst = append(dst, "Via: 2"...)
	} else {
		dst = append(dst, "Via: 1."...)
		dst = strconv.AppendInt(dst, int64(x.req.Minor), 10)
	}
	dst = append(dst, ' ')
	dst = append(dst, x.settings.Name...)
	return append(dst, "\r\n"...)
}

// appendTarget appends path and query: the client's, or the router's in their
// place.
func (x *exchange) appendTarget(dst []byte) []byte {
	path := x.decision.Path
	if path == "" {
		dst = append(dst, x.path()...)
	} else {
		dst = append(dst, path...)
	}
	if x.req.HasQuery && !strings.Contains(path, "?") {
		dst = append(dst, '?')
		dst = append(dst, x.req.Query.Of(x.head)...)
	}
	return dst
}

func (x *exchange) appendHost(dst []byte) []byte {
	switch authority := x.req.Authority.Of(x.head); {
	case edited(x.decision.RequestHeaders, "Host"):
		return append(dst, editOf(x.decision.RequestHeaders, "Host")...)
	case x.policy.Host != "":
		return append(dst, x.policy.Host...)
	case len(authority) > 0:
		return append(dst, authority...)
	}
	return x.conn.Local().AppendTo(dst) // HTTP/1.0 without Host: where the client came
}

// drops tells whether a field does not go on as it came. Nominated: a Connection
// field says that it is for this hop alone.
type drops func(id http1.FieldID, nominated bool) bool

// appendKept appends the fields that are neither dropped nor edited, in their order
// and as they came; lines that stay together are copied together.
func (x *exchange) appendKept(dst []byte, h *http1.Head, buf []byte, edits []HeaderEdit, drops drops) []byte {
	from, to := 0, 0
	for i, f := range h.Fields {
		line := h.Line(buf, i)
		start := int(f.Name.Start)
		special := f.ID != http1.Other || h.Nominates
		if special && drops(f.ID, h.Nominates && h.Nominated(buf, f.Name.Of(buf))) || edits != nil && replaced(edits, f.Name.Of(buf)) {
			dst = append(dst, buf[from:to]...)
			from, to = 0, 0
			continue
		}
		if from == to {
			from = start
		}
		to = start + len(line)
	}
	return append(dst, buf[from:to]...)
}

// dropsRequestField tells which fields do not go upstream as they came. What we
// write ourselves, or act on, can not be nominated away.
func (x *exchange) dropsRequestField(id http1.FieldID, nominated bool) bool {
	switch id {
	case http1.Other, http1.Date:
		return nominated
	case http1.MaxForwards:
		return nominated || x.hops.counted
	case http1.Via:
		return false
	case http1.Expect:
		return !x.req.ExpectContinue
	case http1.Forwarded:
		return nominated || !x.keepsForwarded()
	case http1.XForwardedHost, http1.XForwardedProto:
		return !x.keepsForwarded()
	case http1.XForwardedFor:
		return x.terms.Forwarded != Off
	}
	return true
}

func (x *exchange) keepsForwarded() bool {
	switch x.terms.Forwarded {
	case Off:
		return true
	case Replace:
		return false
	}
	return x.trusted
}

// appendForwarded tells the backend who asked: a trusted client's word is kept
// and added to, anybody else's was dropped.
func (x *exchange) appendForwarded(dst []byte) []byte {
	if x.terms.Forwarded == Off {
		return dst
	}
	keeps, edits := x.keepsForwarded(), x.decision.RequestHeaders
	if !edited(edits, "X-Forwarded-For") {
		dst = x.appendForwardedFor(dst, keeps)
	}
	if _, told := x.req.Lookup(x.head, http1.XForwardedProto); (!told || !keeps) && !edited(edits, "X-Forwarded-Proto") {
		dst = append(dst, "X-Forwarded-Proto: "...)
		dst = append(dst, x.client.scheme()...)
		dst = append(dst, "\r\n"...)
	}
	authority := x.req.Authority.Of(x.head)
	_, told := x.req.Lookup(x.head, http1.XForwardedHost)
	if (!told || !keeps) && len(authority) > 0 && !edited(edits, "X-Forwarded-Host") {
		dst = append(dst, "X-Forwarded-Host: "...)
		dst = append(dst, authority...)
		dst = append(dst, "\r\n"...)
	}
	return dst
}

func (x *exchange) appendForwardedFor(dst []byte, keeps bool) []byte {
	dst = append(dst, "X-Forwarded-For: "...)
	if keeps {
		for _, f := range x.req.Fields {
			if f.ID == http1.XForwardedFor && f.Value.Len() > 0 {
				dst = append(dst, f.Value.Of(x.head)...)
				dst = append(dst, ", "...)
			}
		}
	}
	dst = append(dst, x.client.ip...)
	return append(dst, "\r\n"...)
}

func (x *exchange) appendRequestConnection(dst []byte) []byte {
	trailers := x.acceptsTrailers()
	if trailers {
		dst = append(dst, "TE: trailers\r\n"...)
	}
	switch {
	case len(x.upgrade) > 0:
		dst = append(dst, "Connection: Upgrade"...)
		if trailers {
			dst = append(dst, ", TE"...)
		}
		dst = append(dst, "\r\nUpgrade: "...)
		dst = append(dst, x.upgrade...)
		dst = append(dst, "\r\n"...)
	case trailers:
		dst = append(dst, "Connection: TE\r\n"...)
	}
	return dst
}

func (x *exchange) acceptsTrailers() bool {
	if x.req.Minor == 0 {
		return false // its response can not be chunked
	}
	for _, f := range x.req.Fields {
		if f.ID != http1.TE {
			continue
		}
		for token := range http1.Tokens(f.Value.Of(x.head)) {
			if http1.EqualFold(token, "trailers") {
				return true
			}
		}
	}
	return false
}

// appendResponseHead appends the head that goes to the client, for a body that
// is framed so.
func (x *exchange) appendResponseHead(dst []byte, f http1.Framing) []byte {
	buf := x.up.conn.Bytes()
	dst = x.appendStatusLine(dst, x.resp.Status, x.resp.Reason.Of(buf))
	edits := x.decision.ResponseHeaders
	if x.resp.Interim() && x.resp.Status != http.StatusSwitchingProtocols { // another one follows
		edits = nil
	}
	dst = x.appendKept(dst, &x.resp.Head, buf, edits, dropsResponseField)
	if _, dated := x.resp.Lookup(buf, http1.Date); !dated && !x.resp.Interim() && !edited(edits, "Date") {
		dst = x.server.appendDate(dst)
	}
	dst = appendEdits(dst, edits)
	if !x.resp.Interim() || x.resp.Status == http.StatusSwitchingProtocols {
		dst = x.appendReveal(dst)
	}
	if f.Kind == http1.Chunked {
		dst = appendTrailerField(dst, &x.resp.Head, buf)
	}
	return http1.AppendFraming(dst, f)
}

func (x *exchange) appendStatusLine(dst []byte, status int, reason []byte) []byte {
	at := len(dst)
	dst = http1.AppendStatusLine(dst, status, reason)
	if x.req.Minor == 0 {
		dst[at+len("HTTP/1.")] = '0'
	}
	return dst
}

// dropsResponseField tells which fields do not go to the client as they came.
func dropsResponseField(id http1.FieldID, nominated bool) bool {
	switch id {
	case http1.Connection, http1.ContentLength, http1.HTTP2Settings, http1.KeepAlive, http1.ProxyConnection,
		http1.TE, http1.Trailer, http1.TransferEncoding, http1.Upgrade:
		return true
	case http1.Date:
		return false
	}
	return nominated
}

func (s *Server) appendDate(dst []byte) []byte {
	dst = append(dst, "Date: "...)
	dst = append(dst, *s.date.Load()...)
	return append(dst, "\r\n"...)
}

// appendConnection tells the client what becomes of its connection, where that
// is not what its version of HTTP assumes.
func (x *exchange) appendConnection(dst []byte, stays bool) []byte {
	switch {
	case !stays:
		return append(dst, "Connection: close\r\n"...)
	case x.req.Minor == 0:
		return append(dst, "Connection: keep-alive\r\n"...)
	}
	return dst
}

// wantsUpgrade is the protocol that the client asks to change to; nil where it
// does not ask, or for what is never passed on: h2c, and an upgrade of a request
// with a body, after which nobody knows whose the bytes are.
func (x *exchange) wantsUpgrade() []byte {
	if !x.req.Upgrade || x.req.Minor == 0 || !x.body.Done() {
		return nil
	}
	offered := x.offeredUpgrades()
	for token := range http1.Tokens(offered) {
		if bytes.HasPrefix(bytes.ToLower(token), []byte("h2c")) {
			return nil
		}
	}
	return offered
}

// offeredUpgrades is the list of all Upgrade lines: nearly always there is one,
// and nothing to put together.
func (x *exchange) offeredUpgrades() (list []byte) {
	for _, f := range x.req.Fields {
		switch {
		case f.ID != http1.Upgrade:
		case list == nil:
			list = f.Value.Of(x.head)
		default:
			list = append(append(slices.Clip(list), ", "...), f.Value.Of(x.head)...)
		}
	}
	return list
}
