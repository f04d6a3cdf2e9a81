package proxy_test

import (
	"bytes"
	"io"
	"iter"
	"net"
	"net/netip"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// framer is one connection of a far end that speaks HTTP/2 frame by frame.
type framer struct {
	t  testing.TB
	nc net.Conn
	*http2.Framer
}

// frames is a far end, each of whose connections runs play.
func frames(t testing.TB, play func(*framer)) netip.AddrPort {
	t.Helper()
	up := newUpstream(t, func(c *far) {
		preface := make([]byte, len(http2.ClientPreface))
		if _, err := io.ReadFull(c.nc, preface); err != nil {
			return
		}
		f := &framer{t, c.nc, http2.NewFramer(c.nc, c.nc)}
		_ = f.WriteSettings()
		play(f)
	})
	return up.addr
}

// requests are the streams that are opened.
func (f *framer) requests() iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for {
			frame, err := f.ReadFrame()
			if err != nil {
				return
			}
			switch frame := frame.(type) {
			case *http2.SettingsFrame:
				if !frame.IsAck() {
					_ = f.WriteSettingsAck()
				}
			case *http2.HeadersFrame:
				if !yield(frame.StreamID) {
					return
				}
			}
		}
	}
}

func (f *framer) reset(stream uint32, code http2.ErrCode) { _ = f.WriteRSTStream(stream, code) }

// tell tells what comes in a stream: the data, and the names of other frames.
func (f *framer) tell(stream uint32, said chan<- string) {
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return
		}
		switch data, isData := frame.(*http2.DataFrame); {
		case frame.Header().StreamID != stream:
		case isData:
			said <- string(data.Data())
		default:
			said <- frame.Header().Type.String()
		}
	}
}

// answer answers with 200.
func (f *framer) answer(stream uint32, body string) {
	_ = f.head(stream, false, ":status", "200")
	_ = f.WriteData(stream, true, []byte(body))
}

// maxFrame is how many bytes a frame may have (RFC 9113, 4.2).
const maxFrame = 16 << 10

// head sends a block of fields: names and values.
func (f *framer) head(stream uint32, ends bool, fields ...string) error {
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for i := 0; i < len(fields); i += 2 {
		_ = encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	first := block.Next(maxFrame)
	err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: first, EndHeaders: block.Len() == 0, EndStream: ends})
	for err == nil && block.Len() > 0 {
		next := block.Next(maxFrame)
		err = f.WriteContinuation(stream, block.Len() == 0, next)
	}
	return err
}
