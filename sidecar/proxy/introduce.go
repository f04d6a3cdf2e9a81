package proxy

import (
	"errors"
	"io"

	"github.com/sirupsen/logrus"

	"outrider/sidecar/cause"
	"outrider/sidecar/proxyproto"
	"outrider/sidecar/stream"
)

// await waits for the PROXY protocol header of a client that comes by a proxy, as
// for a first request: no task sits there until it comes.
func (s *Server) await(c *client) {
	if !c.trustedBy(s.settings.Load()) {
		c.turnAway("it is none of the trusted_proxies")
		return
	}
	c.awaited = true
	c.headDeadline()
	s.loop.Start(c.conn, c)
}

// meet reads the header of a client that is awaited, and goes on with who that is.
func (c *client) meet() stream.Next {
	for {
		said, size, err := proxyproto.Parse(c.conn.Bytes())
		switch {
		case err != nil:
			return c.turnAway(err.Error())
		case size > 0:
			c.conn.Advance(size)
			return c.introduce(&said)
		}
		err = stream.ErrTimeout
		if left := c.Idle(); left > 0 { // bytes that keep coming are no reason to wait on
			c.conn.SetReadLimit(min(left, headPatience))
			err = c.conn.Fill(stream.SmallBuffer, nil)
		}
		switch {
		case err == nil:
		case err == stream.ErrTimeout && c.Idle() > 0: //nolint:errorlint // never wrapped
			return stream.More
		case errors.Is(err, io.EOF):
			return c.turnAway("the connection has ended inside its PROXY protocol header")
		default:
			return c.turnAway("its PROXY protocol header is not whole: " + cause.Of(err, c.server.settings.Load().Limits.HeadTimeout))
		}
	}
}

// introduce goes on with a client of whom that is said.
func (c *client) introduce(said *proxyproto.Header) stream.Next {
	c.awaited, c.headBy = false, 0
	if said.Source.IsValid() {
		c.said = said
		c.call(said.Source.Addr())
	}
	if c.listener.encrypts() {
		c.server.loop.Go(func() { c.server.secure(c) })
		return stream.Done
	}
	return stream.Keep
}

// turnAway ends the connection of a client that was not introduced.
func (c *client) turnAway(reason string) stream.Next {
	c.server.counts.unintroduced.Add(1)
	c.server.strangers.Warn("introduction "+c.ip, logrus.Fields{"client": c.ip, "listener": c.listener.Terms().Name, "reason": reason},
		"a connection to a listener with proxy_protocol is refused")
	c.conn.Close()
	c.Gone()
	return stream.Done
}

// introduction is the header that connections to backends begin with which are made
// for the client; empty: none. It names the client's connection, whatever
// X-Forwarded-For says.
func (c *client) introduction(v proxyproto.Version) string {
	if v == proxyproto.None {
		return ""
	}
	ends := c.said
	if ends == nil {
		ends = &proxyproto.Header{Source: c.conn.Remote(), Destination: c.conn.Local()}
	}
	return string(v.Append(nil, *ends))
}
