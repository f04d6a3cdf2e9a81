package gossip

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
)

func TestSomePeersAreDifferentOnesAndEachIsChosenAsOften(t *testing.T) {
	p, rng := newPeers(), rand.New(rand.NewPCG(5, 6))
	const of, rounds = 10, 5000
	for i := range of {
		p.put(memberlist.Node{Name: fmt.Sprintf("api-%d", i)}, time.Now())
	}
	chosen := map[string]int{}
	for range rounds {
		nodes := p.some(3, rng)
		slices.SortFunc(nodes, func(a, b memberlist.Node) int { return cmp.Compare(a.Name, b.Name) })
		if distinct := slices.CompactFunc(slices.Clone(nodes), func(a, b memberlist.Node) bool { return a.Name == b.Name }); len(distinct) != 3 {
			t.Fatalf("%v are not three", nodes)
		}
		for _, n := range nodes {
			chosen[n.Name]++
		}
	}
	for id, n := range chosen {
		if want := rounds * 3 / of; len(chosen) != of || n < want*9/10 || n > want*11/10 {
			t.Errorf("%s was chosen %d times of about %d, and %d of %d peers at all", id, n, want, len(chosen), of)
		}
	}
	if got := len(p.some(20, rng)); got != of {
		t.Errorf("of %d peers %d are given when 20 are wanted", of, got)
	}
}

func TestTheDigestOfPeersIsThatOfWhoIsThere(t *testing.T) {
	came := newPeers()
	stayed := newPeers()
	for i := range 20 {
		node := memberlist.Node{Name: fmt.Sprintf("api-%d", i)}
		came.put(node, time.Now())
		came.put(node, time.Now()) // it tells something else of itself
		if i%2 == 0 {
			stayed.put(node, time.Now())
		}
	}
	for i := range 20 {
		if i%2 == 1 {
			came.remove(fmt.Sprintf("api-%d", i))
			came.remove(fmt.Sprintf("api-%d", i))
		}
	}
	if came.digest("me") != stayed.digest("me") || came.digest("me") == came.digest("you") || len(came.all()) != 10 {
		t.Errorf("digests %x and %x, of %d peers", came.digest("me"), stayed.digest("me"), len(came.all()))
	}
	if !slices.IsSortedFunc(came.all(), func(a, b Peer) int { return cmp.Compare(a.ID, b.ID) }) {
		t.Errorf("%v are out of order", came.all())
	}
}
