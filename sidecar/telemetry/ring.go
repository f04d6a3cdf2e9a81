package telemetry

import "sync/atomic"

// ring hands lines from many tasks to one reader, in the order in which they were
// claimed, without a lock. When it is full, lines are turned away.
//
// A slot's word counts its laps twice: 2n, it is free for lap n; 2n+1, it holds
// the line of lap n. The zero value of a slot is free for the first lap, so that
// memory is touched only when it is used. A claim that is not published yet holds
// the reader up, not the writers.
type ring struct {
	slots []slot
	mask  uint64
	_     [cacheLine]byte
	next  atomic.Uint64 // position that is claimed next
	_     [cacheLine]byte
	read  uint64 // position that is read next; the reader's own
}

type slot struct {
	word atomic.Uint64
	line []byte // belongs to who has claimed the slot, then to the reader
	_    [32]byte
}

// cacheLine keeps what comes before and after apart: processors fetch lines of
// 64 bytes in pairs.
const cacheLine = 128

// room is memory for a line. A slot gets it once, for a line of usual length.
func (s *slot) room() []byte {
	if s.line == nil {
		s.line = make([]byte, 0, usualLine)
	}
	return s.line[:0]
}

const usualLine = 512

// keptLine is how much memory a slot keeps for its next line.
const keptLine = 1 << 10

// newRing makes a ring for so many lines, a power of two.
func newRing(lines int) *ring {
	return &ring{slots: make([]slot, lines), mask: uint64(lines - 1)}
}

// claim takes the next slot for the caller to fill and publish. Nil: the ring is
// full.
func (r *ring) claim() (s *slot, at uint64) {
	for {
		at = r.next.Load()
		s = &r.slots[at&r.mask]
		switch word := s.word.Load(); {
		case word == r.free(at):
			if r.next.CompareAndSwap(at, at+1) {
				return s, at
			}
		case word < r.free(at):
			return nil, 0 // still holds the line of the lap before
		}
	}
}

func (r *ring) free(at uint64) uint64 { return at / uint64(len(r.slots)) * 2 }

// publish lets the reader have a slot that was claimed at this position.
func (r *ring) publish(s *slot, at uint64) { s.word.Store(r.free(at) + 1) }

// drain appends the lines that are there to dst, until that holds enough bytes.
func (r *ring) drain(dst []byte, enough int) []byte {
	for len(dst) < enough {
		s := &r.slots[r.read&r.mask]
		if s.word.Load() != r.free(r.read)+1 {
			return dst
		}
		dst = append(dst, s.line...)
		if cap(s.line) > keptLine {
			s.line = nil
		}
		s.word.Store(r.free(r.read) + 2)
		r.read++
	}
	return dst
}

// empty tells the reader whether there is nothing to read.
func (r *ring) empty() bool {
	return r.slots[r.read&r.mask].word.Load() != r.free(r.read)+1
}
