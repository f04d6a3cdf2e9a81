package cluster

import (
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

func TestWhoDrainsIsPickedLastAndNeverExcluded(t *testing.T) {
	c := newCluster(t, 1, 1, 1, 1)
	c.SetState(at(0), Draining)
	c.SetState(at(1), Suspect)
	if turns := pick(c, 10); turns[at(2)] != 5 || turns[at(3)] != 5 {
		t.Errorf("turns %v, want only those that stay, and beyond doubt", turns)
	}
	if c.Usable() != 4 {
		t.Errorf("%d usable, want all 4", c.Usable())
	}
	var tried Tried
	var order []State
	for b := c.Pick(&tried); b != nil; b = c.Pick(&tried) {
		order = append(order, b.State())
		tried.Add(b)
	}
	if len(order) != 4 || order[2] != Suspect || order[3] != Draining {
		t.Errorf("tried %v, want the suspect after the others, and who drains at the very end", order)
	}
	for i := 1; i < 4; i++ {
		c.SetState(at(i), Down)
	}
	if turns := pick(c, 10); turns[at(0)] != 10 {
		t.Errorf("turns %v, want who drains when nobody else is left", turns)
	}
}

// Doubt about most of those that stay must not herd them all to who is about to leave.
func TestDoubtIsWeighedAmongThoseThatStay(t *testing.T) {
	c := newCluster(t, 1, 1, 1)
	c.SetState(at(0), Draining)
	c.SetState(at(1), Suspect)
	c.SetState(at(2), Suspect)
	if turns := pick(c, 10); turns[at(1)] != 5 || turns[at(2)] != 5 {
		t.Errorf("turns %v, want the two that stay, suspects or not", turns)
	}
}

func TestKeysLeaveWhoDrainsAndComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := New("one", &Policy{}, rand.New(rand.NewPCG(1, 2)))
		weights := rapid.SliceOfN(rapid.IntRange(1, 9), 2, 8).Draw(t, "weights")
		c.SetMembers(members(weights...))
		before := keyed(c, 200)
		leaving := at(rapid.IntRange(0, len(weights)-1).Draw(t, "leaving"))
		c.SetState(leaving, Draining)
		for i, now := range keyed(c, 200) {
			if now == leaving || before[i] != leaving && now != before[i] {
				t.Fatalf("key %d moved from %v to %v while %v drains", i, before[i], now, leaving)
			}
		}
		c.SetState(leaving, Up)
		for i, now := range keyed(c, 200) {
			if now != before[i] {
				t.Fatalf("key %d stays at %v, it was at %v before", i, now, before[i])
			}
		}
	})
}

func TestPickingWhoDrainsAllocatesNothing(t *testing.T) {
	c := newCluster(t, 1, 1)
	c.SetState(at(0), Draining)
	c.SetState(at(1), Down)
	if n := testing.AllocsPerRun(100, func() { c.Pick(nil).Leave(); c.PickKeyed(7, nil).Leave() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
