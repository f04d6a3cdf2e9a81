package proxy_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"outrider/sidecar/cluster"
)

// conversation is what the client of a WebSocket says, in frames, and how the
// other end must close it. The list follows the chapters of the Autobahn suite.
type conversation struct {
	says   string
	closes int  // with this code; 0: with none, -1: without a close frame
	ends   bool // the client says no more than this, but no close frame
}

// What begins a frame (RFC 6455, 5.2).
const (
	final          = 0x80
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xa
)

// frame is one frame of a client.
func frame(first byte, payload string) string {
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n <= 0xffff:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	key := [4]byte{0x37, 0xfa, 0x21, 0x3d}
	b = append(b, key[:]...)
	for i := range len(payload) {
		b = append(b, payload[i]^key[i%4])
	}
	return string(b)
}

func closeFrame(code uint16, reason string) string {
	return frame(final|opClose, string(binary.BigEndian.AppendUint16(nil, code))+reason)
}

// bye ends a conversation that went well.
func bye() string { return closeFrame(1000, "bye") }

// fragmented is a message in pieces of so many bytes, with something between them.
func fragmented(kind byte, message string, size int, between string) string {
	var b strings.Builder
	for piece := range slices.Chunk([]byte(message), size) {
		b.WriteString(frame(kind, string(piece)))
		b.WriteString(between)
		kind = opContinuation
	}
	return b.String() + frame(final|opContinuation, "")
}

func conversations() map[string]conversation {
	all := make(map[string]conversation)
	for _, add := range []func(map[string]conversation){messages, pings, fragments, faults, closes} {
		add(all)
	}
	return all
}

func messages(all map[string]conversation) {
	for _, size := range []int{0, 1, 125, 126, 127, 128, 65535, 65536, 1 << 20} {
		for name, kind := range map[string]byte{"text": opText, "binary": opBinary} {
			says := frame(final|kind, strings.Repeat("*", size))
			all[fmt.Sprintf("%s of %d bytes", name, size)] = conversation{says: says + bye(), closes: 1000}
		}
	}
	all["a message without an end"] = conversation{says: frame(final|opText, "whole") + frame(final|opText, "cut off")[:8], closes: -1, ends: true}
	all["no message"] = conversation{closes: -1, ends: true}
}

func pings(all map[string]conversation) {
	all["a ping"] = conversation{says: frame(final|opPing, "") + bye(), closes: 1000}
	all["a ping of 125 bytes"] = conversation{says: frame(final|opPing, strings.Repeat("\xfe", 125)) + bye(), closes: 1000}
	all["a ping of 126 bytes"] = conversation{says: frame(final|opPing, strings.Repeat("\xfe", 126)), closes: 1002}
	all["ten pings"] = conversation{says: strings.Repeat(frame(final|opPing, "payload"), 10) + bye(), closes: 1000}
	all["a pong that nobody asked for"] = conversation{says: frame(final|opPong, "") + frame(final|opPong, "payload") + bye(), closes: 1000}
	all["a pong, and a ping"] = conversation{says: frame(final|opPong, "one") + frame(final|opPing, "two") + bye(), closes: 1000}
}

func fragments(all map[string]conversation) {
	between := frame(final|opPing, "between")
	utf8 := strings.Repeat("\u03ba\u1f79\u03c3\u03bc\u03b5\U0001f980", 20)
	for name, c := range map[string]conversation{
		"in two":                         {says: frame(opText, "one") + frame(final|opContinuation, "two")},
		"in a hundred, with pings":       {says: fragmented(opText, strings.Repeat("*", 1000), 10, between)},
		"of nothing":                     {says: frame(opText, "") + frame(opContinuation, "") + frame(final|opContinuation, "")},
		"of a large message":             {says: fragmented(opBinary, strings.Repeat("*", 1<<20), 4096, "")},
		"that cut through UTF-8":         {says: fragmented(opText, utf8, 1, between)},
		"that are no UTF-8":              {says: fragmented(opText, "\xce\xba\xe1\xed\xa0\x80\xff", 1, "")},
		"with no beginning":              {says: frame(final|opContinuation, "x"), closes: 1002},
		"with another message in them":   {says: frame(opText, "one") + frame(final|opText, "two"), closes: 1002},
		"of a ping":                      {says: frame(opPing, "one") + frame(final|opContinuation, "two"), closes: 1002},
		"with a close before their end":  {says: frame(opText, "one") + closeFrame(1001, "leaving"), closes: 1001},
		"with a pong nobody asked for":   {says: fragmented(opText, "12345", 2, frame(final|opPong, "x"))},
		"of several messages in a row":   {says: strings.Repeat(fragmented(opText, "12345", 2, ""), 20)},
		"between messages that are none": {says: frame(final|opText, "a") + fragmented(opText, "bcd", 1, "") + frame(final|opText, "e")},
	} {
		if c.closes == 0 {
			c.says, c.closes = c.says+bye(), 1000
		}
		all["fragments "+name] = c
	}
}

func faults(all map[string]conversation) {
	for bits := byte(1); bits < 8; bits++ {
		all[fmt.Sprintf("reserved bits %03b", bits)] = conversation{
			says: frame(final|opText, "before") + frame(final|opText|bits<<4, "x") + frame(final|opPing, "behind"), closes: 1002,
		}
	}
	for _, opcode := range []byte{3, 4, 5, 6, 7, 0xb, 0xc, 0xd, 0xe, 0xf} {
		all[fmt.Sprintf("opcode %d", opcode)] = conversation{
			says: frame(final|opText, "before") + frame(final|opcode, "x") + frame(final|opPing, "behind"), closes: 1002,
		}
	}
	all["a frame without a mask"] = conversation{says: "\x81\x02hi", closes: -1}
}

func closes(all map[string]conversation) {
	all["close"] = conversation{says: frame(final|opClose, "")}
	all["close with half a code"] = conversation{says: frame(final|opClose, "\x03"), closes: 1002}
	all["close with a reason of 123 bytes"] = conversation{says: closeFrame(1000, strings.Repeat("*", 123)), closes: 1000}
	all["close with a reason of 124 bytes"] = conversation{says: closeFrame(1000, strings.Repeat("*", 124)), closes: 1002}
	all["close with a reason that is no UTF-8"] = conversation{says: closeFrame(1000, "\xce\xba\xff"), closes: 1000}
	all["close, and more"] = conversation{says: bye() + frame(final|opText, "more") + frame(final|opPing, "x"), closes: 1000}
	all["close, and a large message"] = conversation{says: bye() + frame(final|opBinary, strings.Repeat("*", 1<<20)), closes: 1000}
	for _, code := range []uint16{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999} {
		all[fmt.Sprintf("close with %d", code)] = conversation{says: closeFrame(code, "why"), closes: int(code)}
	}
	for _, code := range []uint16{0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535} {
		all[fmt.Sprintf("close with %d", code)] = conversation{says: closeFrame(code, "why"), closes: 1002}
	}
}

// farSocket is a far end that sends every message back, and says what it saw.
type farSocket struct {
	saw chan string // one for each connection, when it is over
}

func (f *farSocket) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var b strings.Builder
	defer func() { f.saw <- b.String() }()
	for _, name := range []string{"Sec-Websocket-Key", "Sec-Websocket-Version", "Sec-Websocket-Protocol", "Sec-Websocket-Extensions", "Origin", "Cookie"} {
		fmt.Fprintf(&b, "far end: %s: %q\n", name, r.Header[name])
	}
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols: []string{"chat", "superchat"}, CompressionMode: websocket.CompressionContextTakeover,
		OnPingReceived: func(_ context.Context, p []byte) bool {
			fmt.Fprintf(&b, "far end: ping %x\n", p)
			return true
		},
		OnPongReceived: func(_ context.Context, p []byte) { fmt.Fprintf(&b, "far end: pong %x\n", p) },
	})
	if err != nil {
		fmt.Fprintf(&b, "far end: %v\n", err)
		return
	}
	defer ws.CloseNow()
	ws.SetReadLimit(-1)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), patience)
	defer cancel()
	for {
		kind, message, err := ws.Read(ctx)
		if err != nil {
			fmt.Fprintf(&b, "far end: %v\n", err)
			return
		}
		fmt.Fprintf(&b, "far end: %v %s\n", kind, digest(string(message)))
		if err := ws.Write(ctx, kind, message); err != nil {
			fmt.Fprintf(&b, "far end: can not answer\n")
			return
		}
	}
}

// said is what the far end saw of the connection that is over.
func (f *farSocket) said(t *testing.T) string {
	t.Helper()
	select {
	case all := <-f.saw:
		return all
	case <-time.After(patience):
		t.Fatal("the far end's connection is not over")
		return ""
	}
}

// digest is short, and differs where the payload does.
func digest(payload string) string {
	if len(payload) <= 125 {
		return fmt.Sprintf("%q", payload)
	}
	return fmt.Sprintf("%d bytes, SHA-256 %x", len(payload), sha256.Sum256([]byte(payload)))
}

const webSocketHandshake = "GET /chat?room=1 HTTP/1.1\r\nHost: a\r\nOrigin: http://a\r\nCookie: b=c\r\nConnection: keep-alive, Upgrade\r\n" +
	"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: chat\r\n\r\n"

// delivery is how a client's bytes come: it sends the handshake and the rest,
// and calls answered between them or not at all.
type delivery func(c *client, handshake, says string, answered func())

func deliveries() map[string]delivery {
	return map[string]delivery{
		"with the handshake": func(c *client, handshake, says string, _ func()) { c.send(handshake + says) },
		"at once": func(c *client, handshake, says string, answered func()) {
			c.send(handshake)
			answered()
			c.send(says)
		},
		"in pieces": func(c *client, handshake, says string, answered func()) {
			c.send(handshake)
			answered()
			for piece := range slices.Chunk([]byte(says), 1+len(says)/500) {
				c.send(string(piece))
			}
		},
	}
}

// converse has a conversation with the far end at addr, and tells what the client saw.
func converse(t *testing.T, addr string, v conversation, deliver delivery) string {
	t.Helper()
	c := dialRaw(t, addr)
	head, sent := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(sent)
		deliver(c, webSocketHandshake, v.says, func() { <-head })
		if v.ends {
			c.fin()
		}
	}()
	var b strings.Builder
	resp, err := http.ReadResponse(c.in, nil)
	close(head)
	if err != nil {
		t.Fatalf("no answer to the handshake: %v", err)
	}
	fmt.Fprintf(&b, "client: %s, accept %q, protocol %q\n", resp.Status, resp.Header["Sec-Websocket-Accept"], resp.Header["Sec-Websocket-Protocol"])
	c.patient()
	for {
		first, payload, err := readFrame(c.in)
		if isTimeout(err) {
			t.Fatalf("the conversation does not end:\n%s", b.String())
		}
		if err != nil {
			break // by a FIN or, when the client went on after the far end was done, a reset
		}
		fmt.Fprintf(&b, "client: %02x %s\n", first, digest(payload))
	}
	<-sent
	return b.String()
}

// readFrame reads one frame of a server.
func readFrame(in *bufio.Reader) (first byte, payload string, err error) {
	head := make([]byte, 2)
	if _, err := io.ReadFull(in, head); err != nil {
		return 0, "", err
	}
	size := uint64(head[1])
	if more := map[byte]int{126: 2, 127: 8}[head[1]]; more > 0 {
		length := make([]byte, 8)
		if _, err := io.ReadFull(in, length[8-more:]); err != nil {
			return 0, "", err
		}
		size = binary.BigEndian.Uint64(length)
	}
	if size > 2<<20 {
		return 0, "", errors.New("a frame that nobody has sent")
	}
	b := make([]byte, size)
	_, err = io.ReadFull(in, b)
	return head[0], string(b), err
}

// closedWith is the line of a client that got a close frame.
func closedWith(code int) string {
	switch code {
	case -1:
		return ""
	case 0:
		return "client: 88 \"\"\n"
	}
	return fmt.Sprintf("client: 88 %s", strings.TrimSuffix(digest(string(binary.BigEndian.AppendUint16(nil, uint16(code)))), `"`))
}

// ways are the addresses to reach the far end at: through sidecars of each kind.
func (f *farSocket) ways(t *testing.T) (direct string, through map[string]string) {
	a := newAuthority(t)
	secure := newSecureServer(t, a.certificate("b", time.Now().Add(time.Hour)), f.ServeHTTP)
	plain := serving(t, f.ServeHTTP)
	behind := newSidecar(t, at(plain), func(s *setup) { s.settings.Name = "behind" })
	return plain.String(), map[string]string{
		"a sidecar":                       newSidecar(t, at(plain)).addr,
		"a sidecar with TLS behind it":    newSidecar(t, at(secure.addr), secured("b", a)).addr,
		"a sidecar with a sidecar behind": newSidecar(t, at(netip.MustParseAddrPort(behind.addr)), policy(func(p *cluster.Policy) { p.TLS = trusted() })).addr,
	}
}

// The proxy passes bytes: what the ends of a WebSocket see of each other must be
// what they see of each other without it.
func TestTheEndsOfAWebSocketSeeWhatTheySeeWithoutUs(t *testing.T) {
	far := &farSocket{saw: make(chan string, 1)}
	direct, through := far.ways(t)
	for name, v := range conversations() {
		for how, deliver := range deliveries() {
			t.Run(name+" "+how, func(t *testing.T) {
				want := converse(t, direct, v, deliver) + far.said(t)
				if closed := strings.Contains(want, "client: 88 "); !strings.Contains(want, closedWith(v.closes)) || closed != (v.closes >= 0) {
					t.Fatalf("the far end does not close with %d:\n%s", v.closes, want)
				}
				for way, addr := range through {
					if got := converse(t, addr, v, deliver) + far.said(t); got != want {
						t.Errorf("through %s:\n%s\nwithout:\n%s", way, got, want)
					}
				}
			})
		}
	}
}

// dialogue is what the library's own client says, with these options.
func dialogue(t *testing.T, addr string, o websocket.DialOptions) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var b strings.Builder
	o.HTTPClient = browse(t)
	ws, resp, err := websocket.Dial(ctx, "ws://"+addr+"/chat", &o)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	ws.SetReadLimit(-1)
	fmt.Fprintf(&b, "client: protocol %q, extensions %q\n", ws.Subprotocol(), resp.Header["Sec-Websocket-Extensions"])
	noise := make([]byte, 100<<10)
	_, _ = rand.Read(noise)
	for _, message := range []string{"", "short", strings.Repeat("compressible ", 10_000), string(noise), strings.Repeat("again ", 1000)} {
		for _, kind := range []websocket.MessageType{websocket.MessageText, websocket.MessageBinary} {
			if err := echo(ctx, ws, kind, []byte(message)); err != nil {
				t.Fatalf("%d bytes: %v", len(message), err)
			}
		}
	}
	fmt.Fprintf(&b, "client: close %v\n", ws.Close(4321, "done"))
	return b.String()
}

// withoutNoise drops what differs from one connection to the next: the random
// key, and the random message.
func withoutNoise(transcript string) string {
	var b strings.Builder
	for line := range strings.Lines(transcript) {
		if !strings.Contains(line, "Websocket-Key") && !strings.Contains(line, "102400 bytes") {
			b.WriteString(line)
		}
	}
	return b.String()
}

func TestSubprotocolsAndExtensionsAreNegotiatedBetweenTheEnds(t *testing.T) {
	far := &farSocket{saw: make(chan string, 1)}
	direct, through := far.ways(t)
	modes := map[string]websocket.CompressionMode{
		"not compressed": websocket.CompressionDisabled, "compressed each": websocket.CompressionNoContextTakeover,
		"compressed": websocket.CompressionContextTakeover,
	}
	for name, mode := range modes {
		for _, offer := range [][]string{nil, {"chat"}, {"unknown"}, {"superchat", "chat"}} {
			t.Run(fmt.Sprint(name, offer), func(t *testing.T) {
				o := websocket.DialOptions{Subprotocols: offer, CompressionMode: mode}
				want := withoutNoise(dialogue(t, direct, o) + far.said(t))
				if compresses := strings.Contains(want, "client: protocol") && strings.Contains(want, `extensions ["permessage-deflate`); compresses != (mode != 0) {
					t.Fatalf("the ends do not agree:\n%s", want)
				}
				for _, way := range slices.Sorted(maps.Keys(through)) {
					if got := withoutNoise(dialogue(t, through[way], o) + far.said(t)); got != want {
						t.Errorf("through %s:\n%s\nwithout:\n%s", way, got, want)
					}
				}
			})
		}
	}
}
