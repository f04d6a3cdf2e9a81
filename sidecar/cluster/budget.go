package cluster

import (
	"sync/atomic"
	"time"
)

// The bounds of a budget.
const (
	budgetWindow = 10                                     // seconds that the share is taken over
	budgetShare  = 5                                      // one further try for so many requests: 20 %
	budgetPause  = time.Second / 3                        // between tries that are always allowed: 3 a second
	budgetSaved  = budgetWindow*time.Second - budgetPause // how far ahead of those a quiet cluster may be
)

// budget bounds the further tries of a cluster, so that they do not multiply an
// outage: over the last ten seconds they are at most a fifth of the requests, and
// beyond that three a second, of which thirty can be saved up. In any time t the
// tries are at most 1.2 x requests + 3/s x t + 30.
//
// A request that needs no further try costs nothing here: how many there were is
// known from the cluster's turns. The zero value is ready for a cluster that has
// had no request.
type budget struct {
	spent atomic.Int64 // further tries, ever
	// debt is budgetShare x spent - requests as of the begin of the window: one
	// number, so that both are of the same moment.
	debt  atomic.Int64
	quiet atomic.Int64 // when those that are always allowed are used up to, in ns

	marks [budgetWindow]int64 // debt at the last ticks; for tick alone
	at    int
}

// begin starts the budget of a cluster that counts its requests from here.
func (b *budget) begin(requests uint64) {
	b.debt.Store(-int64(requests))
	for i := range b.marks {
		b.marks[i] = -int64(requests)
	}
}

// tick moves the window on by a second.
func (b *budget) tick(requests uint64) {
	b.debt.Store(b.marks[b.at])
	b.marks[b.at] = budgetShare*b.spent.Load() - int64(requests)
	b.at = (b.at + 1) % budgetWindow
}

// spend takes one further try, if there is one. now counts from any fixed moment.
func (b *budget) spend(requests uint64, now time.Duration) bool {
	for {
		spent := b.spent.Load()
		if budgetShare*(spent+1)-int64(requests) > b.debt.Load() {
			break
		}
		if b.spent.CompareAndSwap(spent, spent+1) {
			return true
		}
	}
	for {
		used := b.quiet.Load()
		next := max(used, int64(now))
		if next-int64(now) > int64(budgetSaved) {
			return false
		}
		if b.quiet.CompareAndSwap(used, next+int64(budgetPause)) {
			b.spent.Add(1)
			return true
		}
	}
}
