//go:build integration

package compose_test

import (
	"math/rand/v2"
	"testing"
)

// Only a holder has to be there before its pair.
func TestTheOrderOfStartDoesNotMatter(t *testing.T) {
	s := openShop(t)
	s.compose("stop", "--timeout", "1")
	holders := []string{"pair-a", "pair-b", "pair-c"}
	rest := []string{"sidecar-a", "sidecar-b", "sidecar-c", "app-a", "app-b", "app-c", "app-d"}
	random := rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	random.Shuffle(len(holders), func(i, j int) { holders[i], holders[j] = holders[j], holders[i] })
	random.Shuffle(len(rest), func(i, j int) { rest[i], rest[j] = rest[j], rest[i] })
	t.Logf("in this order: %v %v", holders, rest)
	for _, service := range holders {
		s.docker("start", service)
	}
	for _, service := range rest {
		s.docker("start", service)
	}
	s.ports = map[string]string{} // others are published now
	s.awaitAllUp()
	for _, pair := range pairs {
		var answers record
		for range 100 {
			answers = append(answers, ask(s.at(pair, "/one/")))
		}
		answers.expectFine(t, 100)
		answers.expectShares(t, 1, "app-a", "app-b")
	}
}
