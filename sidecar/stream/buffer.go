package stream

import (
	"sync"
	"sync/atomic"
)

// Sizes that buffers are lent in: the beginning of a head's, a head's, a body's,
// and the largest head's.
const (
	TinyBuffer  = 512
	SmallBuffer = 4 << 10
	BodyBuffer  = 16 << 10
	LargeBuffer = 64 << 10
)

// Buffers lends buffers for as long as there is data in them. The zero value is
// ready.
type Buffers struct {
	tiny, small, body, large sync.Pool

	lent atomic.Int64 // bytes
}

// Buffer is a lent piece of memory.
type Buffer struct {
	B     []byte // its whole length may be used
	owner *Buffers
	home  *sync.Pool // nil: it is of no common size
}

// Lend hands out a buffer of at least size bytes.
func (bs *Buffers) Lend(size int) *Buffer {
	switch {
	case size <= TinyBuffer:
		return bs.lend(&bs.tiny, TinyBuffer)
	case size <= SmallBuffer:
		return bs.lend(&bs.small, SmallBuffer)
	case size <= BodyBuffer:
		return bs.lend(&bs.body, BodyBuffer)
	case size <= LargeBuffer:
		return bs.lend(&bs.large, LargeBuffer)
	}
	bs.lent.Add(int64(size))
	return &Buffer{B: make([]byte, size), owner: bs}
}

// Lent is how many bytes are lent at the moment, in pipes too.
func (bs *Buffers) Lent() int64 { return bs.lent.Load() }

func (bs *Buffers) lend(p *sync.Pool, size int) *Buffer {
	bs.lent.Add(int64(size))
	if b, ok := p.Get().(*Buffer); ok {
		return b
	}
	return &Buffer{B: make([]byte, size), owner: bs, home: p}
}

// Release gives the buffer back. The caller must not touch it again; a nil
// buffer is fine.
func (b *Buffer) Release() {
	if b == nil {
		return
	}
	b.owner.lent.Add(-int64(len(b.B)))
	if b.home != nil {
		b.home.Put(b)
	}
}
