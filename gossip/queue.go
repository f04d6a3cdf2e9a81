package gossip

import (
	"cmp"
	"math"
	"slices"
)

// queue holds the registers that are to be passed on with memberlist's own
// packets, a few times each, in whatever state they are by then.
//
// It stands in for memberlist's TransmitLimitedQueue, which in v0.7.0 loses one of
// two messages that have the same length (hashicorp/memberlist, pull requests
// 263 and 322), and which would send the ages of the past.
type queue struct {
	waiting map[register]*turn
	pushed  uint64
}

type turn struct {
	sent  int
	order uint64
}

func newQueue() *queue { return &queue{waiting: map[register]*turn{}} }

// push queues a register as one that was never sent.
func (q *queue) push(at register) {
	q.pushed++
	q.waiting[at] = &turn{order: q.pushed}
}

// prune drops what look does not know any more. Where nobody takes, it has to be
// called now and then.
func (q *queue) prune(look func(register) (Claim, bool)) {
	for at := range q.waiting {
		if _, ok := look(at); !ok {
			delete(q.waiting, at)
		}
	}
}

// take gives the claims to send next that fit into size bytes when they are
// encoded: those sent least come first, of these the newest. One that was given
// times times, or that look does not know any more, leaves the queue.
func (q *queue) take(size, times int, look func(register) (Claim, bool)) []Claim {
	var taken []Claim
	for _, at := range q.inTurn() {
		if size < leastClaim {
			break
		}
		c, ok := look(at)
		if !ok {
			delete(q.waiting, at)
			continue
		}
		length := claimSize(c)
		if length > size {
			continue
		}
		size -= length
		taken = append(taken, c)
		q.waiting[at].sent++
		if q.waiting[at].sent >= times {
			delete(q.waiting, at)
		}
	}
	return taken
}

func (q *queue) inTurn() []register {
	all := make([]register, 0, len(q.waiting))
	for at := range q.waiting {
		all = append(all, at)
	}
	slices.SortFunc(all, func(a, b register) int {
		x, y := q.waiting[a], q.waiting[b]
		return cmp.Or(cmp.Compare(x.sent, y.sent), cmp.Compare(y.order, x.order))
	})
	return all
}

// transmissions is how often one node passes a claim on so that all of n hear of
// it even when a quarter of the packets is lost: 4 times the decimal logarithm, as
// memberlist has it.
func transmissions(n int) int {
	return 4 * int(math.Ceil(math.Log10(float64(n+1))))
}
