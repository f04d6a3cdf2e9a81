package http1_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
)

func chunkTricks() []string {
	const smuggled = "GET /admin HTTP/1.1\r\nHost: a\r\n\r\n"
	return []string{
		"0\r\n\r\n", "0\r\n\r\n" + smuggled, "3\r\nabc\r\n0\r\n\r\n", "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n" + smuggled,
		"a\r\n0123456789\r\nB\r\n0123456789a\r\n0\r\n\r\n", "0000000003\r\nabc\r\n0000\r\n\r\n",
		"3;a=b;c\r\nabc\r\n0;x\r\n\r\n", "3 \r\nabc\r\n0\r\n\r\n", "3 ;a\r\nabc\r\n0\r\n\r\n", " 3\r\nabc\r\n0\r\n\r\n",
		"0x3\r\nabc\r\n0\r\n\r\n", "+3\r\nabc\r\n0\r\n\r\n", "-3\r\nabc\r\n", "3\nabc\n0\n\n", "3\rabc", "3\r\r\nabc\r\n0\r\n\r\n",
		"3;a\nabc\r\n0\r\n\r\n", "3;a\rb\r\nabc\r\n0\r\n\r\n", "3;a=\"\r\n\"\r\nabc\r\n0\r\n\r\n", "2\r\nab\r\n0;\n\r\n" + smuggled,
		"3\r\nabcd\r\n0\r\n\r\n", "3\r\nabcXX0\r\n\r\n", "3\r\nabc\n0\r\n\r\n", "3\r\nabc\r0\r\n\r\n", "3\r\nab",
		"ffffffffffffffff\r\nabc", "10000000000000003\r\nabc\r\n0\r\n\r\n", "fffffffffffffff\r\nabc",
		"0\r\nA: 1\r\nB:\t2 \r\n\r\n" + smuggled, "0\r\nA: 1\n\r\n", "0\r\nA: 1\r\n b\r\n\r\n", "0\r\n A: 1\r\n\r\n", "0\r\nA : 1\r\n\r\n",
		"0\r\nContent-Length: 5\r\n\r\nabcde", "0\r\n\n", "0\r\n\rX", "0\r\nA\r\n\r\n", "\r\n", "g\r\n", "0", "0\r\n\r",
		strings.Repeat("1\r\na\r\n", 10) + "0\r\n\r\n", "1;" + strings.Repeat("x", 260) + "\r\na\r\n0\r\n\r\n",
	}
}

// FuzzChunked holds the decoder against Go's, and against itself when the bytes
// come in other pieces.
func FuzzChunked(f *testing.F) {
	for i, wire := range chunkTricks() {
		f.Add([]byte(wire), uint64(i))
	}
	f.Fuzz(func(t *testing.T, wire []byte, seed uint64) {
		one := take(t, chunked(), wire, atOnce)
		many := take(t, chunked(), wire, cuts(seed))
		if fmt.Sprint(one) != fmt.Sprint(many) {
			t.Fatalf("%q\nat once  %+v\nin parts %+v", wire, one, many)
		}
		const head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
		br := newReader([]byte(head + string(wire)))
		theirs, err := http.ReadResponse(br.Reader, nil)
		if err != nil {
			t.Fatal(err)
		}
		sameBody(t, chunked(), wire, theirs.Body, func() int { return br.taken() - len(head) }, &theirs.Trailer)
	})
}

// FuzzChunkedRoundTrip encodes any bytes in any pieces, and decodes them in
// others.
func FuzzChunkedRoundTrip(f *testing.F) {
	for i, data := range append(chunkTricks(), "") {
		f.Add([]byte(data), uint64(i))
	}
	f.Fuzz(func(t *testing.T, data []byte, seed uint64) {
		wire := encode(data, cuts(seed), "")
		got := take(t, chunked(), append(wire, data...), cuts(seed+1))
		if got.err != nil || !got.done || got.data != string(data) || got.size != len(wire) {
			t.Fatalf("done %v, error %v, consumed %d of %d", got.done, got.err, got.size, len(wire))
		}
	})
}

// cuts draws sizes of pieces, most of them small.
func cuts(seed uint64) func() int {
	random := rand.New(rand.NewPCG(seed, 0))
	return func() int { return 1 + random.IntN(1<<random.IntN(10)) }
}
