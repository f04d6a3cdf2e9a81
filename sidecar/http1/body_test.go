package http1_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"outrider/sidecar/http1"
)

// taken is what came out of a body.
type taken struct {
	data     string
	size     int // bytes consumed
	done     bool
	trailers []string // "name=value"
	err      error
}

// take feeds wire to a body as a connection does: piece by piece, each as many
// bytes as cut says, behind what was not consumed before. It fails when Next
// breaks its contract.
func take(t rapid.TB, f http1.Framing, wire []byte, cut func() int) (got taken) {
	t.Helper()
	var b http1.Body
	b.Start(f)
	var data []byte
	for end := 0; ; {
		if b.Done() {
			break
		}
		held := wire[got.size:end:end]
		before := b.Left()
		piece, n, err := b.Next(held)
		if n < 0 || n > len(held) || len(piece) > n || n == 0 && len(piece) > 0 {
			t.Fatalf("consumed %d and handed out %d of %d bytes", n, len(piece), len(held))
		}
		if len(piece) > 0 && !within(piece, held[:n]) {
			t.Fatal("the data is not part of what was consumed")
		}
		if f.Kind == http1.Length && before-b.Left() != int64(n) {
			t.Fatalf("%d bytes left, then %d bytes, then %d left", before, n, b.Left())
		}
		data = append(data, piece...)
		got.size += n
		if err != nil {
			got.err = err
			if again, m, err2 := b.Next(wire[got.size:end]); !errors.Is(err2, err) || m != 0 || len(again) > 0 || b.Done() {
				t.Fatalf("after %v: %d bytes, %v, done %v", err, m, err2, b.Done())
			}
			break
		}
		if b.Done() {
			got.trailers = trailersOf(&b, held)
		}
		if n > 0 {
			continue
		}
		if len(held) > http1.MaxPending && !b.Done() {
			t.Fatalf("stuck with %d bytes", len(held))
		}
		if end == len(wire) {
			break
		}
		end = min(len(wire), end+max(1, cut()))
	}
	got.data, got.done = string(data), b.Done()
	if got.done {
		if more, n, err := b.Next([]byte("more")); n > 0 || len(more) > 0 || err != nil {
			t.Fatalf("a body that is done took %q, %d, %v", more, n, err)
		}
	}
	return got
}

func within(part, whole []byte) bool {
	for i := range whole {
		if &whole[i] == &part[0] {
			return i+len(part) <= len(whole)
		}
	}
	return false
}

func trailersOf(b *http1.Body, buf []byte) (all []string) {
	for _, f := range b.Trailer {
		all = append(all, fmt.Sprintf("%s=%s", f.Name.Of(buf), f.Value.Of(buf)))
	}
	return all
}

func atOnce() int { return 1 << 30 }

// pieces are single bytes, unless wire is very long.
func pieces(wire string) func() int { return func() int { return 1 + len(wire)/1000 } }

func chunked() http1.Framing { return http1.Framing{Kind: http1.Chunked} }

func TestChunkedBodiesMeanWhatTheySay(t *testing.T) {
	digits := strings.Repeat("0", 14)
	for _, row := range []struct {
		name, wire, data, trailers string
	}{
		{"nothing", "0\r\n\r\n", "", ""},
		{"one chunk", "3\r\nabc\r\n0\r\n\r\n", "abc", ""},
		{"two chunks", "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", "abcde", ""},
		{"hexadecimal sizes of any case", "a\r\n0123456789\r\nB\r\n0123456789a\r\n0\r\n\r\n", "01234567890123456789a", ""},
		{"leading zeros", digits + "3\r\nabc\r\n" + digits + "0\r\n\r\n", "abc", ""},
		{"CRLF and chunks inside the data", "9\r\n\r\n0\r\n\r\n\r\n\r\n0\r\n\r\n", "\r\n0\r\n\r\n\r\n", ""},
		{"extensions", "3;a;b=c;d=\"e;f\"\r\nabc\r\n0;x\r\n\r\n", "abc", ""},
		{"an extension that looks like a size", "3;5\r\nabc\r\n0\r\n\r\n", "abc", ""},
		{"an extension with a tab and 8-bit text", "3;\t\x80\xff\r\nabc\r\n0\r\n\r\n", "abc", ""},
		{"blanks around the parts of an extension", "3 \t;\ta\t= b ; c\r\nabc\r\n0 ;x\r\n\r\n", "abc", ""},
		{"the longest size line", "3;" + strings.Repeat("x", 252) + "\r\nabc\r\n0\r\n\r\n", "abc", ""},
		{"trailers", "3\r\nabc\r\n0\r\nA: 1\r\nB:\t 2 \r\nA:\r\n\r\n", "abc", "A=1 B=2 A="},
		{"as many trailers as can be", "0\r\n" + strings.Repeat("A: 1\r\n", 64) + "\r\n", "", strings.TrimSpace(strings.Repeat("A=1 ", 64))},
		{"the longest trailer", "0\r\nA: " + strings.Repeat("x", 16<<10-7) + "\r\n\r\n", "", "A=" + strings.Repeat("x", 16<<10-7)},
	} {
		t.Run(row.name, func(t *testing.T) {
			for name, cut := range map[string]func() int{"at once": atOnce, "in pieces": pieces(row.wire)} {
				got := take(t, chunked(), []byte(row.wire+"GET / HTTP/1.1"), cut)
				if got.err != nil || !got.done {
					t.Fatalf("%s: done %v, %v", name, got.done, got.err)
				}
				if got.size != len(row.wire) {
					t.Errorf("%s: consumed %d bytes of %d", name, got.size, len(row.wire))
				}
				if got.data != row.data || strings.Join(got.trailers, " ") != row.trailers {
					t.Errorf("%s: data %q, trailers %q", name, got.data, got.trailers)
				}
			}
		})
	}
}

func TestChunkedBodiesThatCouldBeReadTwoWaysAreRefused(t *testing.T) {
	for _, row := range []struct {
		name, wire, data string
		want             error
	}{
		{"no size", "\r\nabc\r\n", "", http1.ErrChunkSize},
		{"a letter beyond f", "g\r\nabc\r\n", "", http1.ErrChunkSize},
		{"0x", "0x3\r\nabc\r\n", "", http1.ErrChunkSize},
		{"a plus", "+3\r\nabc\r\n", "", http1.ErrChunkSize},
		{"a minus", "-3\r\nabc\r\n", "", http1.ErrChunkSize},
		{"an underscore", "1_0\r\nabc\r\n", "", http1.ErrChunkSize},
		{"a blank before the size", " 3\r\nabc\r\n", "", http1.ErrChunkSize},
		{"a blank behind the size", "3 \r\nabc\r\n", "", http1.ErrChunkSize},
		{"a tab behind the size", "3\t\r\nabc\r\n", "", http1.ErrChunkSize},
		{"blanks behind the last size", "0 \t\r\n\r\n", "", http1.ErrChunkSize},
		{"a bare LF behind a blank", "3 \nabc\r\n", "", http1.ErrChunkSize},
		{"another digit behind a blank", "3 0;a\r\nabc\r\n", "", http1.ErrChunkSize},
		{"blanks without an end", "3" + strings.Repeat(" ", 255), "", http1.ErrChunkExtension},
		{"a NUL behind the size", "3\x00\r\nabc\r\n", "", http1.ErrChunkSize},
		{"a comma", "3,3\r\nabc\r\n", "", http1.ErrChunkSize},
		{"a size of 64 bits", "8000000000000000\r\nabc\r\n", "", http1.ErrChunkSize},
		{"a size that wraps around", "10000000000000003\r\nabc\r\n", "", http1.ErrChunkSize},
		{"a size of 16 digits", "0000000000000003\r\nabc\r\n", "", http1.ErrChunkSize},
		{"endless digits", strings.Repeat("0", 16), "", http1.ErrChunkSize},
		{"a bare LF behind the size", "3\nabc\r\n", "", http1.ErrChunkSize},
		{"a bare CR behind the size", "3\rabc\r\n", "", http1.ErrChunkExtension},
		{"a CR too many behind the size", "3\r\r\nabc\r\n", "", http1.ErrChunkExtension},
		{"a bare LF in the extension", "3;a\nabc\r\n", "", http1.ErrChunkExtension},
		{"a quoted LF in the extension", "3;a=\"\n\"\r\nabc\r\n", "", http1.ErrChunkExtension},
		{"a bare CR in the extension", "3;a\rb\r\nabc\r\n", "", http1.ErrChunkExtension},
		{"a NUL in the extension", "3;\x00\r\nabc\r\n", "", http1.ErrChunkExtension},
		{"a size line too long", "3;" + strings.Repeat("x", 253) + "\r\nabc\r\n", "", http1.ErrChunkExtension},
		{"data longer than its size", "3\r\nabcd\r\n", "abc", http1.ErrChunkEnd},
		{"data shorter than its size", "3\r\nab\r\n0\r\n\r\n", "ab\r", http1.ErrChunkEnd},
		{"a bare LF behind the data", "3\r\nabc\n0\r\n\r\n", "abc", http1.ErrChunkEnd},
		{"a bare CR behind the data", "3\r\nabc\r0\r\n\r\n", "abc", http1.ErrChunkEnd},
		{"two bytes of anything behind the data", "3\r\nabcXX0\r\n\r\n", "abc", http1.ErrChunkEnd},
		{"a bad size behind good data", "3\r\nabc\r\nx", "abc", http1.ErrChunkSize},
		{"a bare LF at the end", "0\r\n\n", "", http1.ErrBareLF},
		{"a bare CR at the end", "0\r\n\rX\r\n", "", http1.ErrBareCR},
		{"a trailer that ends with LF", "0\r\nA: 1\n\r\n", "", http1.ErrBareLF},
		{"a folded trailer", "0\r\nA: 1\r\n 2\r\n\r\n", "", http1.ErrFold},
		{"a trailer that begins with a blank", "0\r\n A: 1\r\n\r\n", "", http1.ErrFold},
		{"a blank before a trailer's colon", "0\r\nA : 1\r\n\r\n", "", http1.ErrFieldName},
		{"a trailer without a colon", "0\r\nGET / HTTP/1.1\r\n\r\n", "", http1.ErrFieldName},
		{"a NUL in a trailer", "0\r\nA: \x00\r\n\r\n", "", http1.ErrFieldValue},
		{"too many trailers", "0\r\n" + strings.Repeat("A: 1\r\n", 65) + "\r\n", "", http1.ErrTrailerTooLong},
		{"a trailer section too long", "0\r\nA: " + strings.Repeat("x", 16<<10-6) + "\r\n\r\n", "", http1.ErrTrailerTooLong},
		{"a trailer section too long in two lines", "0\r\nA: " + strings.Repeat("x", 16<<10-20) + "\r\nB: 234567890\r\n\r\n", "", http1.ErrTrailerTooLong},
		{"an endless trailer", "0\r\nA" + strings.Repeat("a", 16<<10), "", http1.ErrTrailerTooLong},
	} {
		t.Run(row.name, func(t *testing.T) {
			for name, cut := range map[string]func() int{"at once": atOnce, "in pieces": pieces(row.wire)} {
				got := take(t, chunked(), []byte(row.wire), cut)
				if got.done || !errors.Is(got.err, row.want) {
					t.Errorf("%s: done %v, error %v, want %v", name, got.done, got.err, row.want)
				}
				if got.data != row.data {
					t.Errorf("%s: handed out %q, want %q", name, got.data, row.data)
				}
			}
		})
	}
}

func TestEveryCutOfAChunkedBodyIsSeen(t *testing.T) {
	const wire = "3;ext\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\nA: 1\r\n\r\n"
	for end := range len(wire) {
		var b http1.Body
		b.Start(chunked())
		for buf := []byte(wire[:end]); ; {
			_, n, err := b.Next(buf)
			if err != nil || b.Done() {
				t.Fatalf("%q: done %v, %v", wire[:end], b.Done(), err)
			}
			if buf = buf[n:]; n == 0 {
				break
			}
		}
		if b.Close() {
			t.Errorf("%q: the end of the connection is taken for the end of the body", wire[:end])
		}
	}
}

func TestChunkOverheadIsBounded(t *testing.T) {
	chunk := func(size int, extension string) string {
		return fmt.Sprintf("%x%s\r\n%s\r\n", size, extension, strings.Repeat("x", size))
	}
	for _, row := range []struct {
		name, chunk string
		times       int
		want        error
	}{
		{"single bytes go on for ever", chunk(1, ""), 100_000, nil},
		{"so do short extensions", chunk(1, ";x=1234567"), 100_000, nil},
		{"so do signatures of great chunks", chunk(1<<10, ";chunk-signature="+strings.Repeat("0", 64)), 2000, nil},
		{"long extensions of single bytes do not", chunk(1, ";"+strings.Repeat("x", 250)), 100, http1.ErrChunkExtension},
	} {
		t.Run(row.name, func(t *testing.T) {
			got := take(t, chunked(), []byte(strings.Repeat(row.chunk, row.times)+"0\r\n\r\n"), atOnce)
			if !errors.Is(got.err, row.want) || got.done != (row.want == nil) {
				t.Errorf("done %v, error %v, want %v", got.done, got.err, row.want)
			}
		})
	}
}

func TestBodiesOfALengthEndThere(t *testing.T) {
	for n := range 5 {
		got := take(t, length(int64(n)), []byte("abcdef"), atOnce)
		if got.data != "abcdef"[:n] || got.size != n || !got.done {
			t.Errorf("%d: %+v", n, got)
		}
	}
	var b http1.Body
	b.Start(length(3))
	if _, n, _ := b.Next([]byte("ab")); n != 2 || b.Done() || b.Left() != 1 || b.Close() {
		t.Error("a cut is not seen")
	}
}

func TestBodiesUntilCloseTakeEverything(t *testing.T) {
	var b http1.Body
	b.Start(http1.Framing{Kind: http1.UntilClose})
	for _, piece := range []string{"a", "0\r\n\r\n", "HTTP/1.1 200 OK"} {
		if data, n, err := b.Next([]byte(piece)); string(data) != piece || n != len(piece) || err != nil || b.Done() {
			t.Errorf("%q: %q, %d, %v", piece, data, n, err)
		}
	}
	if !b.Close() || !b.Done() {
		t.Error("the end of the connection is not the end of the body")
	}
}

func TestBodiesThatAreNotThereAreDone(t *testing.T) {
	var zero http1.Body
	if !zero.Done() || !zero.Close() {
		t.Error("the zero body is not done")
	}
	for _, f := range []http1.Framing{{}, {Declared: true, Length: 5}, length(0), length(-1)} {
		b := http1.Body{}
		b.Start(chunked())
		b.Start(f)
		if data, n, err := b.Next([]byte("GET")); !b.Done() || n > 0 || len(data) > 0 || err != nil {
			t.Errorf("%+v: done %v, %q, %d, %v", f, b.Done(), data, n, err)
		}
	}
}

// encode writes data as chunks of the sizes that cut gives.
func encode(data []byte, cut func() int, trailers string) []byte {
	var wire []byte
	for len(data) > 0 {
		n := min(len(data), max(1, cut()))
		wire = http1.AppendChunkSize(wire, n)
		wire = append(wire, data[:n]...)
		wire = append(wire, "\r\n"...)
		data = data[n:]
	}
	wire = http1.AppendChunkSize(wire, 0)
	wire = append(wire, trailers...)
	return append(wire, "\r\n"...)
}

func TestDecodeUndoesEncodeHoweverItIsCut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		data := rapid.SliceOfN(rapid.Byte(), 0, 5000).Draw(t, "data")
		behind := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "behind")
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		cut := func() int { return 1 + random.IntN(1<<random.IntN(12)) }
		wire := encode(data, cut, rapid.SampledFrom([]string{"", "A: 1\r\n", "A: 1\r\nB: 2\r\n"}).Draw(t, "trailers"))
		got := take(t, chunked(), append(bytes.Clone(wire), behind...), cut)
		if got.err != nil || !got.done || got.data != string(data) || got.size != len(wire) {
			t.Fatalf("done %v, error %v, consumed %d of %d", got.done, got.err, got.size, len(wire))
		}
	})
}

func TestABodyDoesNotDependOnHowItArrives(t *testing.T) {
	pieces := []string{"0", "1", "3", "a", ";", "x", "\r\n", "\r", "\n", "abc", " ", "A: 1", "0\r\n", "\r\n\r\n", "3\r\nabc\r\n", "\x00"}
	rapid.Check(t, func(t *rapid.T) {
		wire := []byte(strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 30).Draw(t, "wire"), ""))
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		framing := rapid.SampledFrom([]http1.Framing{chunked(), length(7), {Kind: http1.UntilClose}, {}}).Draw(t, "framing")
		one := take(t, framing, wire, atOnce)
		many := take(t, framing, wire, func() int { return 1 + random.IntN(7) })
		if fmt.Sprint(one) != fmt.Sprint(many) {
			t.Fatalf("at once  %+v\nin parts %+v", one, many)
		}
	})
}
