package main

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

const bodyBytes = 128

func TestBackendAnswersWithItsNameAndTheSizeAskedFor(t *testing.T) {
	b := runBackend(t, 1)
	for name, address := range map[string]string{"one": b.one, "two": b.two} {
		c, r := dial(t, address)
		write(t, c, "GET / HTTP/1.1\r\nHost: b\r\n\r\n")
		if got := readBody(t, r); got != b.body(name) || len(got) != bodyBytes {
			t.Errorf("%s answers %q", name, got)
		}
	}
}

func TestBackendOwesAClientThatReadsLateEveryAnswer(t *testing.T) {
	const requests = 50_000 // their answers are more than the sockets hold
	b := runBackend(t, 1)
	c, r := dial(t, b.one)
	var writing sync.WaitGroup
	writing.Go(func() { _, _ = io.WriteString(c, strings.Repeat("GET / HTTP/1.1\r\nHost: b\r\n\r\n", requests)) })
	defer writing.Wait()

	if got, err := b.settled(t.Context()); err != nil || got.one >= requests {
		t.Fatalf("counted %+v before any answer was read, %v", got, err)
	}
	for range requests {
		if got := readBody(t, r); got != b.body("one") {
			t.Fatalf("an answer is %q", got)
		}
	}
	if got, err := b.settled(t.Context()); err != nil || got != (counts{one: requests}) {
		t.Errorf("counted %+v, %v", got, err)
	}
}

func TestBackendFindsTheEndOfAHeadWhereverItIsCut(t *testing.T) {
	const request = "GET / HTTP/1.1\r\nA: \r\n\n\r b\r\r\n\r\n"
	b := runBackend(t, 1)
	for cut := 1; cut < len(request); cut++ {
		c, r := dial(t, b.two)
		write(t, c, request[:cut])
		// The counters are answered in turn with the connections, so the first part has been read by then.
		if got, err := b.settled(t.Context()); err != nil || got.two != cut-1 {
			t.Fatalf("cut at %d: counted %+v before the rest, %v", cut, got, err)
		}
		write(t, c, request[cut:])
		if got := readBody(t, r); got != b.body("two") {
			t.Fatalf("cut at %d: answered %q", cut, got)
		}
	}
}

func TestBackendAnswersAnUploadAtTheEmptyLineThatEndsItsBody(t *testing.T) {
	b := runBackend(t, 2)
	c, r := dial(t, b.one)
	for sent := range 3 {
		write(t, c, "POST / HTTP/1.1\r\nHost: b\r\nContent-Length: 14\r\n\r\n..........")
		if got, err := b.settled(t.Context()); err != nil || got.one != sent {
			t.Fatalf("counted %+v before the end of the body, %v", got, err)
		}
		write(t, c, "\r\n\r\n")
		if got := readBody(t, r); got != b.body("one") {
			t.Fatalf("answered %q", got)
		}
	}
}

func runBackend(t *testing.T, emptyLines int) *backend {
	t.Helper()
	shop, err := newWorkshop(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	program, err := shop.backend(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cores, err := procfs("/proc").cores()
	if err != nil {
		t.Fatal(err)
	}
	b, err := startBackend(program, bodyBytes, emptyLines, cores)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.close)
	return b
}

func dial(t *testing.T, address string) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("tcp4", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c, bufio.NewReader(c)
}

func write(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
}

func readBody(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestBackendEchoesMessagesWhereverTheyAreCut(t *testing.T) {
	const masked, plain = "\x81\xf8\x01\x02\x03\x04", "\x81\x78"
	frame, want := []byte(masked), []byte(plain)
	for i := range 120 {
		frame, want = append(frame, byte(i)^byte(1+i%4)), append(want, byte(i))
	}
	b := runBackend(t, 1)
	c, r := dial(t, b.one)
	write(t, c, "GET /one/echo HTTP/1.1\r\nHost: b\r\nupgrade: WebSocket\r\n\r\n")
	if answer, err := http.ReadResponse(r, nil); err != nil || answer.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("the handshake is answered %v, %v", answer, err)
	}
	for cut := range len(frame) {
		write(t, c, string(frame[:cut]))
		if got, err := b.settled(t.Context()); err != nil || got.one != cut {
			t.Fatalf("cut at %d: counted %+v before the rest, %v", cut, got, err)
		}
		write(t, c, string(frame[cut:]))
		got := make([]byte, len(want))
		if _, err := io.ReadFull(r, got); err != nil || string(got) != string(want) {
			t.Fatalf("cut at %d: the echo is %q, %v", cut, got, err)
		}
	}
}
