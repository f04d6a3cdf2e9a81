package proxy

import (
	"strconv"
	"time"

	"outrider/sidecar/http1"
)

// appendReveal appends what a response tells of its way here, to who may know.
func (x *exchange) appendReveal(dst []byte) []byte {
	if x.settings.Timing {
		dst = x.appendTiming(dst)
	}
	if x.settings.Explains == nil {
		return dst
	}
	if value, asked := x.req.Lookup(x.head, http1.XOutriderExplain); asked && x.settings.Explains(value) {
		dst = x.appendExplanation(dst)
	}
	return dst
}

// appendExplanation appends what was decided, and what came of it so far: a
// dictionary of structured fields (RFC 9651, 3.2). The id leads to all the rest.
func (x *exchange) appendExplanation(dst []byte) []byte {
	d := &x.decision
	dst = append(dst, "X-Outrider-Explain: id="...)
	dst = appendQuoted(dst, string(x.requestID()))
	outcome := d.Outcome
	if outcome == "" {
		outcome = "ok"
	}
	dst = appendMember(dst, "outcome", outcome)
	if d.Cluster != nil {
		dst = appendMember(dst, "cluster", d.Cluster.Name())
	}
	dst = appendMember(dst, "rule", d.Rule)
	if x.span != nil {
		dst = appendMember(dst, "trace", x.span.TraceParent())
	}
	dst = appendMember(dst, "script", d.Version)
	if b := x.up.backend; b != nil {
		dst = appendMember(dst, "backend", b.Address())
		dst = append(dst, ", tries="...)
		dst = strconv.AppendInt(dst, int64(x.attempts+1), 10)
	}
	for i := range x.failed {
		if i == 0 {
			dst = append(dst, ", failed=("...)
		} else {
			dst = append(dst, ' ')
		}
		dst = appendQuoted(dst, x.failed[i].Backend.Address()+": "+x.failed[i].Err.Error())
	}
	if len(x.failed) > 0 {
		dst = append(dst, ')')
	}
	return append(dst, "\r\n"...)
}

func appendMember(dst []byte, key, value string) []byte {
	if value == "" {
		return dst
	}
	dst = append(dst, ", "...)
	dst = append(dst, key...)
	dst = append(dst, '=')
	return appendQuoted(dst, value)
}

// appendTiming appends how long the steps took that were taken, in milliseconds
// (https://www.w3.org/TR/server-timing/).
func (x *exchange) appendTiming(dst []byte) []byte {
	at, now := &x.progress.at, x.server.clock()
	if at[Routing] == 0 {
		return dst // no head was understood
	}
	dst = append(dst, "Server-Timing: route"...)
	if at[Connecting] == 0 {
		return append(appendDuration(dst, now-at[Routing]), "\r\n"...)
	}
	dst = appendDuration(dst, at[Connecting]-at[Routing])
	picked := x.progress.picked
	if picked == 0 {
		picked = now
	}
	dst = appendDuration(append(dst, ", pick"...), picked-at[Connecting])
	switch waiting := at[Waiting]; {
	case waiting != 0:
		dst = appendDuration(append(dst, ", connect"...), waiting-picked)
		dst = appendDuration(append(dst, ", upstream"...), now-waiting)
	case x.progress.picked != 0:
		dst = appendDuration(append(dst, ", connect"...), now-picked)
	}
	return append(dst, "\r\n"...)
}

func appendDuration(dst []byte, d time.Duration) []byte {
	dst = append(dst, ";dur="...)
	return strconv.AppendFloat(dst, float64(d.Microseconds())/1e3, 'f', 3, 64)
}
