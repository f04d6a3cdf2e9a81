package gossip

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const (
	self  Observer = 1
	alice Observer = 2
	bob   Observer = 3
)

func admitting(observers ...Observer) *store {
	s := newStore(self)
	for _, o := range observers {
		s.admit(o)
	}
	return s
}

func down(o Observer, seq uint64, key string) Claim {
	return Claim{Observer: o, Seq: seq, Key: key, State: Down}
}

// history draws claims as observers would make them: one state for each Seq.
func history(t *rapid.T) []Claim {
	n := rapid.IntRange(0, 40).Draw(t, "claims")
	claims := make([]Claim, n)
	for i := range claims {
		claims[i] = Claim{
			Observer: rapid.SampledFrom([]Observer{alice, bob}).Draw(t, "observer"),
			Seq:      uint64(i) + 1,
			Key:      rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "key"),
			State:    rapid.SampledFrom([]State{Up, Down, Draining}).Draw(t, "state"),
		}
	}
	return claims
}

func TestMergingIsCommutativeAndIdempotent(t *testing.T) {
	now := time.Now()
	rapid.Check(t, func(t *rapid.T) {
		claims := history(t)
		inOrder, shuffled := admitting(alice, bob), admitting(alice, bob)
		for _, c := range claims {
			inOrder.merge(c, now)
		}
		twice := rapid.Permutation(slices.Concat(claims, claims)).Draw(t, "order")
		for _, c := range twice {
			shuffled.merge(c, now)
		}
		same(t, inOrder, shuffled, now)
	})
}

func TestMergingIsAssociative(t *testing.T) {
	now := time.Now()
	rapid.Check(t, func(t *rapid.T) {
		claims := history(t)
		cut := rapid.IntRange(0, len(claims)).Draw(t, "cut")
		direct, left, right := admitting(alice, bob), admitting(alice, bob), admitting(alice, bob)
		for i, c := range claims {
			direct.merge(c, now)
			if i < cut {
				left.merge(c, now)
			} else {
				right.merge(c, now)
			}
		}
		for _, c := range right.claims(now) {
			left.merge(c, now)
		}
		same(t, direct, left, now)
	})
}

func TestTheMostRecentClaimsOfAnObserverStayWhateverTheOrder(t *testing.T) {
	now := time.Now()
	var claims []Claim
	for i := range maxPerObserver + 50 {
		claims = append(claims, down(alice, uint64(i)+1, fmt.Sprint("key ", i)))
	}
	inOrder, shuffled := admitting(alice), admitting(alice)
	for _, c := range claims {
		inOrder.merge(c, now)
	}
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(claims), func(i, j int) { claims[i], claims[j] = claims[j], claims[i] })
	for _, c := range claims {
		shuffled.merge(c, now)
	}
	same(t, inOrder, shuffled, now)
	if got := inOrder.claims(now); len(got) != maxPerObserver || got[0].Seq != 51 {
		t.Errorf("%d claims, the first with seq %d; want %d and 51", len(got), got[0].Seq, maxPerObserver)
	}
}

func same(t interface{ Fatalf(string, ...any) }, a, b *store, now time.Time) {
	if x, y := a.claims(now), b.claims(now); !reflect.DeepEqual(x, y) || a.digest(now) != b.digest(now) {
		t.Fatalf("one holds %+v (%x), the other %+v (%x)", x, a.digest(now), y, b.digest(now))
	}
}

func TestAgesNeverShrinkOverRelays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Now()
		c, elapsed := down(alice, 1, "a"), time.Duration(0)
		for range rapid.IntRange(1, 20).Draw(t, "relays") {
			relay := admitting(alice)
			relay.merge(c, now)
			held := time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(t, "held"))
			elapsed += held
			now = now.Add(held)
			old, ok := relay.get(c.register(), now)
			if !ok {
				t.Fatalf("gone after %v", elapsed)
			}
			m, err := decode(encodeClaims([]Claim{old}))
			if err != nil {
				t.Fatal(err)
			}
			c = m.claims[0]
			if c.Age < elapsed {
				t.Fatalf("%v old after %v", c.Age, elapsed)
			}
		}
	})
}

func TestAStoreTellsTheReceiverWhatItNeedsAndNoMore(t *testing.T) {
	now := time.Now()
	told := map[register]Claim{}
	s := admitting(alice, bob)
	rapid.Check(t, func(t *rapid.T) {
		now = now.Add(time.Hour) // of the check before, nothing is left
		s = admitting(alice, bob)
		clear(told)
		for i := range rapid.IntRange(1, 60).Draw(t, "steps") {
			step(t, s, uint64(i)+1, now)
			now = now.Add(rapid.SampledFrom([]time.Duration{0, time.Second, 12 * time.Second}).Draw(t, "passed"))
			if rapid.Bool().Draw(t, "take") {
				tell(t, s, told, now)
			}
			if len(s.untold) > 2*maxClaims {
				t.Fatalf("%d untold", len(s.untold))
			}
		}
		tell(t, s, told, now)
		if all := s.claims(now); len(all) != len(told) {
			t.Fatalf("the store holds %+v, the receiver knows %+v", all, told)
		}
		for _, c := range s.claims(now) {
			if got := told[c.register()]; got.Seq != c.Seq || got.State != c.State {
				t.Fatalf("the store holds %+v, the receiver knows %+v", c, got)
			}
		}
	})
}

func step(t *rapid.T, s *store, seq uint64, now time.Time) {
	o := rapid.SampledFrom([]Observer{alice, bob}).Draw(t, "observer")
	switch rapid.IntRange(0, 9).Draw(t, "step") {
	case 0:
		s.dismiss(o)
		s.admit(o)
	case 1:
		s.expire(now)
	default:
		s.merge(Claim{Observer: o, Seq: seq, Key: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "key"),
			State: rapid.SampledFrom([]State{Up, Down}).Draw(t, "state")}, now)
	}
}

func tell(t *rapid.T, s *store, told map[register]Claim, now time.Time) {
	for _, c := range s.take(now) {
		at := c.claim.register()
		if !c.withdrawn {
			told[at] = c.claim
			continue
		}
		if _, known := told[at]; !known {
			t.Fatalf("%+v was withdrawn and never told", at)
		}
		delete(told, at)
	}
}

func TestAClaimDiesAtItsTTLAndDoesNotComeBack(t *testing.T) {
	now := time.Now()
	s := admitting(alice)
	s.merge(down(alice, 1, "a"), now)
	later := now.Add(TTL - time.Millisecond)
	relayed, ok := s.get(register{alice, "a"}, later)
	if !ok {
		t.Fatal("gone before its time")
	}
	if s.expire(later); s.size != 1 {
		t.Error("expired before its time")
	}
	if s.expire(now.Add(TTL)); s.size != 0 || s.digest(now.Add(TTL)) != 0 {
		t.Error("still held at the TTL")
	}
	relayed.Age += time.Millisecond
	if got, reason := s.merge(relayed, now.Add(TTL)); got != rejected || reason != Expired {
		t.Errorf("the old claim came back: %v %v", got, reason)
	}
}

func TestUpOutlivesTheDownThatItTakesBack(t *testing.T) {
	now := time.Now()
	s := admitting(alice)
	oldDown := down(alice, 1, "a")
	s.merge(Claim{Observer: alice, Seq: 2, Key: "a", State: Up}, now)
	for elapsed := time.Duration(0); elapsed < 2*TTL; elapsed += time.Second {
		now = now.Add(time.Second)
		s.expire(now)
		oldDown.Age = elapsed + time.Second
		if got, _ := s.merge(oldDown, now); got == changed {
			t.Fatalf("the Down of before is back after %v", elapsed)
		}
	}
}

func TestStrangeClaimsAreRejectedWithTheirReason(t *testing.T) {
	now := time.Now()
	s := admitting(alice)
	s.merge(down(alice, 10*maxBehind, "a"), now)
	own, _ := s.write("mine", Down, now)
	flipped := own
	flipped.State = Up
	tests := map[string]struct {
		claim  Claim
		want   outcome
		reason Reason
	}{
		"a stranger's":               {down(bob, 1, "a"), rejected, UnknownObserver},
		"too old":                    {Claim{Observer: alice, Seq: 10*maxBehind + 1, Key: "a", State: Down, Age: TTL}, rejected, Expired},
		"far ahead":                  {down(alice, 10*maxBehind+maxAhead+1, "a"), rejected, Ahead},
		"a replay":                   {down(alice, 9*maxBehind-1, "b"), rejected, Behind},
		"an older one":               {down(alice, 10*maxBehind-1, "a"), known, ""},
		"our own":                    {own, known, ""},
		"ours with another state":    {flipped, forged, ""},
		"ours that we never made":    {down(self, own.Seq+1, "x"), forged, ""},
		"ours that we forgot by now": {down(self, own.Seq, "forgotten"), known, ""},
	}
	before := s.digest(now)
	for name, test := range tests {
		if got, reason := s.merge(test.claim, now); got != test.want || reason != test.reason {
			t.Errorf("%s: %v %q; want %v %q", name, got, reason, test.want, test.reason)
		}
	}
	if s.digest(now) != before {
		t.Error("one of them changed the store")
	}
}

func TestAFloodOfValidClaimsTakesRoomFromItselfOnly(t *testing.T) {
	now := time.Now()
	s := admitting(bob)
	s.merge(down(bob, 1, "b"), now)
	for o := range 40 {
		flooder := Observer(100 + o)
		s.admit(flooder)
		for i := range 2 * maxPerObserver {
			s.merge(down(flooder, uint64(i)+1, fmt.Sprint("key ", i)), now)
		}
	}
	if s.size > maxClaims || len(s.claims(now)) != s.size || len(s.untold) > maxClaims {
		t.Errorf("%d claims, %d untold; want at most %d", s.size, len(s.untold), maxClaims)
	}
	const late Observer = 200
	s.admit(late)
	s.merge(down(late, 1, "b"), now)
	for _, o := range []Observer{bob, late} {
		if _, ok := s.get(register{o, "b"}, now); !ok {
			t.Errorf("the only claim of %v was pushed out", o)
		}
	}
	if n := len(encodeClaims(s.claims(now))); n > maxMessage {
		t.Errorf("a full store needs a message of %d bytes", n)
	}
}

func TestOurOwnClaimsAreRepeatedUntilTakenBack(t *testing.T) {
	now := time.Now()
	s := newStore(self)
	s.write("a", Down, now)
	s.write("b", Draining, now)
	if _, again := s.write("a", Down, now); again {
		t.Error("the same was claimed twice")
	}
	if _, first := s.write("c", Up, now); first {
		t.Error("there was nothing to take back, yet Up was claimed")
	}
	s.write("b", Up, now)
	if early := s.repeat(10*time.Second, now.Add(9*time.Second)); early != nil {
		t.Errorf("repeated too early: %+v", early)
	}
	again := s.repeat(10*time.Second, now.Add(10*time.Second))
	if want := []Claim{down(self, 4, "a")}; !reflect.DeepEqual(again, want) {
		t.Errorf("repeated %+v; want %+v", again, want)
	}
	if told := s.take(now); len(told) != 0 {
		t.Errorf("our own claims were told to ourselves: %+v", told)
	}
}

func TestUnderANewNameTheOldClaimsAreMadeAnew(t *testing.T) {
	now := time.Now()
	s := newStore(self)
	s.write("a", Down, now)
	s.write("b", Down, now)
	s.write("b", Up, now)
	again := s.rename(77, now)
	if want := []Claim{down(77, 1, "a")}; !reflect.DeepEqual(again, want) || !reflect.DeepEqual(s.claims(now), want) {
		t.Errorf("made anew: %+v; held: %+v; want %+v", again, s.claims(now), want)
	}
}

func TestTheDigestIsThatOfTheClaimsThatAreHeld(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	now := time.Now()
	s := admitting(alice, bob)
	for step := range 2000 {
		now = now.Add(time.Duration(rng.IntN(500)) * time.Millisecond)
		key := fmt.Sprintf("backend %d", rng.IntN(40))
		switch rng.IntN(8) {
		case 0:
			s.write(key, Down, now)
		case 1:
			s.dismiss(bob)
			s.admit(bob)
		case 2:
			s.expire(now)
		default:
			by := []Observer{alice, bob}[rng.IntN(2)]
			s.merge(Claim{Observer: by, Seq: uint64(step + 1), Key: key, State: Down, Age: time.Duration(rng.IntN(20)) * time.Second}, now)
		}
		var sum uint64
		for _, c := range s.claims(now) {
			c.Age = 0
			sum += fingerprint(c)
		}
		if got := s.digest(now); got != sum {
			t.Fatalf("after step %d the digest is %x; the claims that are alive have %x", step, got, sum)
		}
	}
}
