package gossip

import (
	"fmt"
	"testing"
	"time"
)

func TestABurstOfClaimsOfEqualLengthArrivesWhole(t *testing.T) {
	now := time.Now()
	const burst = 200
	sender, receiver := newStore(alice), admitting(alice)
	q := newQueue()
	for i := range burst {
		c, _ := sender.write(fmt.Sprintf("backend %03d", i), Down, now)
		q.push(c.register())
	}
	look := func(at register) (Claim, bool) { return sender.get(at, now) }
	for packets := 0; len(q.waiting) > 0; packets++ {
		if packets > burst {
			t.Fatal("the queue does not come to an end")
		}
		for _, c := range q.take(1300, transmissions(5), look) {
			receiver.merge(c, now)
		}
	}
	same(t, sender, receiver, now)
}

func TestTheQueueGivesEachClaimSoManyTimesAndTheLeastSentFirst(t *testing.T) {
	q := newQueue()
	now := map[register]Claim{}
	look := func(at register) (Claim, bool) { c, ok := now[at]; return c, ok }
	add := func(c Claim) {
		now[c.register()] = c
		q.push(c.register())
	}
	one := len(appendClaim(nil, down(alice, 1, "a")))
	add(down(alice, 1, "a"))
	add(down(alice, 2, "b"))
	var got string
	for range 3 {
		got += q.take(one, 2, look)[0].Key
	}
	add(down(alice, 3, "c")) // as new as can be: it passes the rest of b and a
	got += q.take(one, 2, look)[0].Key
	for len(q.waiting) > 0 {
		got += q.take(one, 2, look)[0].Key
	}
	if want := "babcac"; got != want && got != "babcca" {
		t.Errorf("taken in the order %s; want %s", got, want)
	}
}

func TestTheQueueForgetsWhatTheStoreForgot(t *testing.T) {
	gone := func(register) (Claim, bool) { return Claim{}, false }
	for name, forget := range map[string]func(*queue){
		"when it is taken from":  func(q *queue) { q.take(1000, 3, gone) },
		"when nobody takes from": func(q *queue) { q.prune(gone) },
	} {
		q := newQueue()
		q.push(register{alice, "a"})
		if forget(q); len(q.waiting) != 0 {
			t.Errorf("%s: still waiting: %d", name, len(q.waiting))
		}
	}
}

func TestAClaimThatDoesNotFitWaitsAndASmallerOneGoes(t *testing.T) {
	q := newQueue()
	look := func(at register) (Claim, bool) { return down(at.observer, 1, at.key), true }
	q.push(register{alice, "s"})
	q.push(register{alice, "a key that is too long for what is left"})
	if got := q.take(20, 2, look); len(got) != 1 || got[0].Key != "s" {
		t.Errorf("took %+v", got)
	}
	if len(q.waiting) != 2 {
		t.Errorf("%d are waiting; want both", len(q.waiting))
	}
}
