package stream

import "sync"

// Sizes that buffers are lent in: a head's, a body's, and the largest head's.
const (
	SmallBuffer = 4 << 10
	BodyBuffer  = 16 << 10
	LargeBuffer = 64 << 10
)

// Buffers lends buffers for as long as there is data in them. The zero value is
// ready.
type Buffers struct {
	small, body, large sync.Pool
}

// Buffer is a lent piece of memory.
type Buffer struct {
	B    []byte // its whole length may be used
	home *sync.Pool
}

// Lend hands out a buffer of at least size bytes.
func (bs *Buffers) Lend(size int) *Buffer {
	switch {
	case size <= SmallBuffer:
		return lend(&bs.small, SmallBuffer)
	case size <= BodyBuffer:
		return lend(&bs.body, BodyBuffer)
	case size <= LargeBuffer:
		return lend(&bs.large, LargeBuffer)
	}
	return &Buffer{B: make([]byte, size)}
}

func lend(p *sync.Pool, size int) *Buffer {
	if b, ok := p.Get().(*Buffer); ok {
		return b
	}
	return &Buffer{B: make([]byte, size), home: p}
}

// Release gives the buffer back. The caller must not touch it again; a nil
// buffer is fine.
func (b *Buffer) Release() {
	if b != nil && b.home != nil {
		b.home.Put(b)
	}
}
