package health

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// listening is a Monitor among peers, and what it told them.
type listening struct {
	*monitoring
	mu      sync.Mutex
	speech  []string
	spoken  []time.Time
	hearing Hearing
}

// among monitors targets that can be shared, among so many peers.
func among(t *testing.T, peers int, targets ...Target) *listening {
	t.Helper()
	l := &listening{monitoring: &monitoring{}, hearing: Hearing{Peers: peers, Most: peers}}
	l.Monitor = New(Options{
		OnChange: l.onChange, OnLocal: l.onLocal, Rand: rand.New(rand.NewPCG(7, 8)), Publish: l.publish,
		Hearing: func() Hearing { l.mu.Lock(); defer l.mu.Unlock(); return l.hearing },
	})
	l.Set(targets)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { l.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
	time.Sleep(10 * time.Second) // the first checks are over, and apart
	return l
}

func (l *listening) publish(s Subject, state ClaimState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.speech = append(l.speech, fmt.Sprintf("%s %s by %s", s.Addr.Addr(), state, s.Kind))
	l.spoken = append(l.spoken, time.Now())
}

func (l *listening) hear(h Hearing) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hearing = h
}

func (l *listening) said(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.Equal(l.speech, want) {
		t.Errorf("told the peers %q, want %q", l.speech, want)
	}
}

// state is the verdict on a target now.
func (l *listening) state(i int) State {
	synctest.Wait()
	for _, s := range l.Snapshot() {
		if s.Key == key(i) {
			return s.State
		}
	}
	panic("no such target")
}

func (l *listening) status(i int) Status {
	for _, s := range l.Snapshot() {
		if s.Key == key(i) {
			return s
		}
	}
	panic("no such target")
}

// shared is a target that claims can be about.
func shared(i int, c Checker) Target {
	t := target(i, c)
	t.Subject = Subject{Place: Place{Addr: t.Addr}, Kind: ByTCP}
	return t
}

// claim is what an observer says of a target, just now.
func claim(i int, observer uint64, state ClaimState, kind ClaimKind) Claim {
	return Claim{
		Subject: Subject{Place: Place{Addr: key(i).Addr}, Kind: kind}, State: state,
		Observer: observer, Peer: fmt.Sprintf("web-%d", observer), Made: time.Now(),
	}
}

func (l *listening) down(i int, observer uint64) { l.Hear(claim(i, observer, ClaimedDown, ByTCP)) }

// The stories of the rule, each in a bubble of its own.
func TestTheRuleOfSharedHealth(t *testing.T) {
	for name, story := range map[string]func(*testing.T){
		"R1: a first failure is one piece, and is looked at again within 100 ms": func(t *testing.T) {
			b := &farEnd{}
			l := among(t, 2, shared(1, b))
			b.become(refused())
			before := len(b.begun())
			time.Sleep(3 * time.Second)
			checks := b.begun()[before:]
			if gap := checks[1].Sub(checks[0]); gap > 100*time.Millisecond {
				t.Errorf("looked at again after %v", gap)
			}
			l.want(t, "app-1:8080 out: 2x refused")
		},
		"R1: what fails here for a reason of our own is no evidence, and is told to nobody": func(t *testing.T) {
			b := &farEnd{}
			l := among(t, 2, shared(1, b))
			b.become(syscall.EMFILE)
			time.Sleep(time.Minute)
			l.want(t)
			l.said(t)
		},
		"R1: a request that could not connect is evidence, and is told as such": func(t *testing.T) {
			b := &farEnd{}
			l := among(t, 2, shared(1, b))
			l.Observe(key(1), Evidence{Source: FromTraffic, Kind: NoConnection, Reason: "refused"})
			l.said(t, "10.0.0.1 down by traffic", "10.0.0.1 up by traffic")
		},
		"R2: a claim makes a suspect at once, and one check of ours looks now": func(t *testing.T) {
			b := &farEnd{takes: 10 * time.Millisecond}
			l := among(t, 100, shared(1, b))
			before, at := len(b.begun()), time.Now()
			l.down(1, 2)
			if l.state(1) != Suspect {
				t.Fatal("it is no suspect")
			}
			time.Sleep(30 * time.Millisecond)
			checks := b.begun()[before:]
			if len(checks) != 1 || checks[0].Sub(at) > maxSpread {
				t.Errorf("%d checks, the first after %v", len(checks), checks[0].Sub(at))
			}
			l.want(t, "app-1:8080 suspect: web-2 says down", l.told()[1])
			if !strings.Contains(l.told()[1], "back after") || !strings.Contains(l.told()[1], "our own check is fine") {
				t.Errorf("told %q", l.told())
			}
		},
		"R2: a claim is one piece of evidence, and one must be our own": func(t *testing.T) {
			for fall, want := range map[int]string{1: "out: refused", 2: "out: refused, and web-2 says down", 3: "out: 2x refused, and web-2 says down"} {
				b := &farEnd{}
				sharedOne := shared(1, b)
				sharedOne.Fall, sharedOne.Interval = fall, time.Hour
				l := among(t, 2, sharedOne)
				b.become(refused())
				l.down(1, 2)
				time.Sleep(200 * time.Millisecond)
				l.want(t, "app-1:8080 suspect: web-2 says down", "app-1:8080 "+want)
			}
		},
		"R2: many claims are one piece": func(t *testing.T) {
			b := &farEnd{}
			sharedOne := shared(1, b)
			sharedOne.Fall, sharedOne.Interval = 4, time.Hour
			l := among(t, 9, sharedOne)
			b.become(refused())
			for observer := range uint64(9) {
				l.down(1, 2+observer)
			}
			time.Sleep(time.Minute)
			if l.state(1) != Suspect {
				t.Errorf("it is %v after two own failures of four", l.state(1))
			}
		},
		"R2: a check that began before the claim does not answer it": func(t *testing.T) {
			b := &farEnd{takes: 100 * time.Millisecond}
			l := among(t, 0, shared(1, b))
			eventuallyChecking(b)
			l.down(1, 2)
			time.Sleep(110 * time.Millisecond)
			if l.state(1) != Suspect {
				t.Error("the check before it has ended the doubt")
			}
			time.Sleep(110 * time.Millisecond)
			if l.state(1) != Up {
				t.Errorf("it is %v after a check of its own", l.state(1))
			}
		},
		"R3: what our check finds well is contested, for 1, 2, 4 ... 30 s": func(t *testing.T) {
			b := &farEnd{}
			l := among(t, 2, shared(1, b))
			for _, hold := range []time.Duration{1, 2, 4, 8, 16, 30, 30} {
				l.down(1, 2)
				time.Sleep(50 * time.Millisecond)
				s := l.status(1)
				if s.State != Up || !s.Contested {
					t.Fatalf("it is %v, contested %v", s.State, s.Contested)
				}
				if left := time.Until(s.DeafUntil).Round(time.Second); left != hold*time.Second {
					t.Errorf("deaf for %v, want %v s", left, int(hold))
				}
				before := len(l.told())
				for time.Now().Before(s.DeafUntil) {
					l.down(1, 3)
					if l.state(1) != Up {
						t.Fatal("a claim counts while we are deaf to it")
					}
					time.Sleep(100 * time.Millisecond)
				}
				if after := len(l.told()); after != before {
					t.Errorf("told %q meanwhile", l.told()[before:])
				}
			}
			time.Sleep(calm + longestHold)
			l.down(1, 2)
			time.Sleep(50 * time.Millisecond)
			if left := time.Until(l.status(1).DeafUntil).Round(time.Second); left != time.Second {
				t.Errorf("after a calm time deaf for %v", left)
			}
		},
		"R3: who was right is listened to at once again": func(t *testing.T) {
			b := &farEnd{}
			l := among(t, 2, shared(1, b))
			l.down(1, 2)
			time.Sleep(2 * time.Second) // deaf no more
			b.become(refused())
			l.down(1, 2)
			time.Sleep(time.Second)
			b.become(nil)
			time.Sleep(2 * time.Second)
			if l.state(1) != Up {
				t.Fatalf("it is %v", l.state(1))
			}
			l.down(1, 2)
			if l.state(1) != Suspect {
				t.Error("we are deaf to who was right")
			}
		},
		"R3: a check that could not be made keeps no doubt up": func(t *testing.T) {
			b := &farEnd{err: syscall.EMFILE}
			l := among(t, 2, shared(1, b))
			l.down(1, 2)
			time.Sleep(50 * time.Millisecond)
			if l.state(1) != Up {
				t.Errorf("it is %v while nobody here can look", l.state(1))
			}
		},
		"R3: a claim that is taken back leaves no doubt": func(t *testing.T) {
			b := &farEnd{takes: 500 * time.Millisecond}
			l := among(t, 2, shared(1, b))
			l.down(1, 2)
			l.down(1, 3)
			l.Hear(claim(1, 2, ClaimedUp, ByTCP))
			if l.state(1) != Suspect {
				t.Error("the other still says so")
			}
			l.Forget(3, claim(1, 3, ClaimedDown, ByTCP).Subject)
			if l.state(1) != Up {
				t.Errorf("it is %v when nobody says down any more", l.state(1))
			}
			if s := l.status(1); s.Contested || time.Now().Before(s.DeafUntil) {
				t.Error("it is contested all the same")
			}
		},
		"R3: what took a target out that is on trial is our own evidence still": func(t *testing.T) {
			unchecked := shared(1, nil)
			unchecked.Checker = nil
			l := among(t, 2, unchecked)
			for range 2 {
				l.Observe(unchecked.Key, Evidence{Source: FromTraffic, Kind: NoConnection, Reason: "refused"})
			}
			time.Sleep(penalty + time.Millisecond)
			slow := &farEnd{takes: time.Second}
			l.Set([]Target{shared(1, slow)})
			l.down(1, 2)
			l.want(t, "app-1:8080 out: 2x refused", "app-1:8080 back after 5s: on trial", "app-1:8080 out: refused, and web-2 says down")
		},
		"R4: a peer that says up makes us look, and our own check restores": func(t *testing.T) {
			b := &farEnd{}
			seldom := shared(1, b)
			seldom.Interval = time.Hour
			l := among(t, 2, seldom)
			b.become(refused())
			l.down(1, 2)
			time.Sleep(time.Second)
			l.Hear(claim(1, 2, ClaimedUp, ByTCP))
			time.Sleep(time.Second)
			if l.state(1) != Down {
				t.Error("a peer's word restored it")
			}
			b.become(nil)
			l.Hear(claim(1, 3, ClaimedUp, ByTCP))
			time.Sleep(50 * time.Millisecond)
			if l.state(1) != Up {
				t.Error("nobody looked")
			}
		},
		"R4: peers that say up all the time cause a check a second": func(t *testing.T) {
			b := &farEnd{}
			seldom := shared(1, b)
			seldom.Interval = time.Hour
			l := among(t, 2, seldom)
			b.become(refused())
			l.down(1, 2)
			time.Sleep(time.Second)
			before := len(b.begun())
			for range 1000 {
				l.Hear(claim(1, 2, ClaimedUp, ByTCP))
				time.Sleep(10 * time.Millisecond)
			}
			if checks := len(b.begun()) - before; checks < 8 || checks > 12 {
				t.Errorf("%d checks in ten seconds", checks)
			}
		},
		"R5: with nobody left, the cluster decides": func(t *testing.T) {
			for try, want := range map[bool]bool{false: false, true: true} {
				b := &farEnd{}
				o := &observed{cluster: clusterOf(1, try), current: map[Key]*episode{}, episodes: map[Key][]episode{}}
				m := New(Options{OnChange: o.change, Rand: rand.New(rand.NewPCG(1, 2))})
				m.Set([]Target{shared(1, b)})
				ctx, stop := context.WithCancel(t.Context())
				var running sync.WaitGroup
				running.Go(func() { m.Run(ctx) })
				m.Hear(claim(1, 2, ClaimedDown, ByTCP))
				synctest.Wait()
				if o.cluster.Pick(nil) == nil {
					t.Error("the last one is a suspect, and nobody is picked")
				}
				b.become(refused())
				time.Sleep(5 * time.Second)
				if got := o.cluster.Pick(nil) != nil; got != want {
					t.Errorf("all are down: picked %v, want %v", got, want)
				}
				stop()
				running.Wait()
			}
		},
		"R6: many failures that nobody else sees are told to nobody": func(t *testing.T) {
			b := &farEnd{}
			l := among(t, 2, shared(1, b), shared(2, b), shared(3, b), shared(4, b))
			b.become(refused())
			time.Sleep(10 * time.Second)
			l.mu.Lock()
			told := len(l.speech)
			l.mu.Unlock()
			if told > manyFailures-1 {
				t.Errorf("told %q", l.speech)
			}
			if !strings.Contains(l.Silence(), "no peer agrees") {
				t.Errorf("silent because %q", l.Silence())
			}
		},
		"R6: many failures that a peer sees, too, are told": func(t *testing.T) {
			b := &farEnd{}
			l := among(t, 2, shared(1, b), shared(2, b), shared(3, b), shared(4, b))
			b.become(refused())
			l.down(1, 2)
			time.Sleep(10 * time.Second)
			l.mu.Lock()
			defer l.mu.Unlock()
			if len(l.speech) != 4 {
				t.Errorf("told %q", l.speech)
			}
		},
		"R6: who hears badly keeps silent": func(t *testing.T) {
			for why, h := range map[string]Hearing{"too late": {Peers: 2, Most: 2, Score: badHearing}, "gone at once": {Peers: 1, Most: 5}} {
				b := &farEnd{}
				l := among(t, 2, shared(1, b), shared(2, &farEnd{}))
				l.hear(h)
				b.become(refused())
				time.Sleep(10 * time.Second)
				l.said(t)
				if l.state(1) != Down || !strings.Contains(l.Silence(), why) {
					t.Errorf("it is %v, and silent because %q", l.state(1), l.Silence())
				}
			}
		},
		"R7: down is told on the first failure, up when it has risen": func(t *testing.T) {
			b := &farEnd{}
			slow := shared(1, b)
			slow.Fall, slow.Rise = 5, 3
			l := among(t, 2, slow)
			b.become(refused())
			before := len(b.begun())
			for len(b.begun()) == before {
				time.Sleep(time.Millisecond)
			}
			l.said(t, "10.0.0.1 down by tcp")
			if !l.status(1).Claimed {
				t.Error("the status does not show it")
			}
			b.become(nil)
			before = len(b.begun())
			for len(b.begun()) < before+2 {
				time.Sleep(time.Millisecond)
			}
			l.said(t, "10.0.0.1 down by tcp")
			time.Sleep(2 * time.Second)
			l.said(t, "10.0.0.1 down by tcp", "10.0.0.1 up by tcp")
		},
		"R7: what three others say needs no fourth": func(t *testing.T) {
			b := &farEnd{}
			l := among(t, 9, shared(1, b))
			b.become(refused())
			for observer := range uint64(enoughVoices) {
				l.down(1, 2+observer)
			}
			time.Sleep(10 * time.Second)
			l.said(t)
			if l.state(1) != Down {
				t.Errorf("it is %v", l.state(1))
			}
			l.Forget(2, claim(1, 2, ClaimedDown, ByTCP).Subject)
			time.Sleep(2 * time.Second)
			l.said(t, "10.0.0.1 down by tcp")
		},
		"R7: who was told confirms it a little later, for three of all to speak": func(t *testing.T) {
			const peers = 200
			b := &farEnd{}
			l := among(t, peers, shared(1, b))
			b.become(refused())
			l.down(1, 2)
			time.Sleep(maxSpread + time.Millisecond)
			if l.status(1).Streak.Bad == 0 {
				t.Fatal("nobody has looked")
			}
			l.said(t)
			l.down(1, 3) // two have said so by now
			time.Sleep(longestPause)
			l.said(t, "10.0.0.1 down by tcp")
		},
		"R7: one that flaps is told once a second at most": func(t *testing.T) {
			b := &farEnd{}
			fast := shared(1, b)
			fast.Interval, fast.Jitter = 100*time.Millisecond, 0
			l := among(t, 2, fast)
			for range 100 {
				b.become(refused())
				time.Sleep(100 * time.Millisecond)
				b.become(nil)
				time.Sleep(100 * time.Millisecond)
			}
			l.mu.Lock()
			defer l.mu.Unlock()
			downs := 0
			var last time.Time
			for i, said := range l.speech {
				if strings.Contains(said, "down") {
					if downs++; !last.IsZero() && l.spoken[i].Sub(last) < speechSpacing {
						t.Errorf("told again after %v", l.spoken[i].Sub(last))
					}
					last = l.spoken[i]
				}
			}
			if downs < 5 || downs > 21 {
				t.Errorf("told %d times in 20 s", downs)
			}
		},
		"R7: two clusters with one backend speak with one voice": func(t *testing.T) {
			b := &farEnd{}
			again := shared(1, b)
			again.Cluster = "two"
			again.Fall = 4
			l := among(t, 2, shared(1, b), again, shared(2, &farEnd{}), shared(3, &farEnd{}))
			b.become(refused())
			time.Sleep(10 * time.Second)
			l.said(t, "10.0.0.1 down by tcp")
			b.become(nil)
			time.Sleep(10 * time.Second)
			l.said(t, "10.0.0.1 down by tcp", "10.0.0.1 up by tcp")
		},
		"R7: what leaves the configuration is taken back": func(t *testing.T) {
			b := &farEnd{}
			l := among(t, 2, shared(1, b), shared(2, &farEnd{}))
			b.become(refused())
			time.Sleep(5 * time.Second)
			l.Set([]Target{shared(2, &farEnd{})})
			l.said(t, "10.0.0.1 down by tcp", "10.0.0.1 up by tcp")
		},
		"R9: a claim of another kind makes us look, and no more": func(t *testing.T) {
			b := &farEnd{}
			seldom := shared(1, b)
			seldom.Interval = time.Hour
			l := among(t, 2, seldom)
			before := len(b.begun())
			l.Hear(claim(1, 2, ClaimedDown, ByHTTP))
			if l.state(1) != Up {
				t.Error("it is a suspect")
			}
			time.Sleep(50 * time.Millisecond)
			if checks := len(b.begun()) - before; checks != 1 {
				t.Errorf("%d checks", checks)
			}
			b.become(refused())
			l.Hear(claim(1, 2, ClaimedDown, ByHTTP))
			time.Sleep(time.Second + 10*time.Millisecond)
			if l.state(1) == Down && strings.Contains(strings.Join(l.told(), " "), "web-2") {
				t.Error("the claim counted as evidence")
			}
		},
		"R9: claims of other kinds cause a check a second": func(t *testing.T) {
			b := &farEnd{}
			seldom := shared(1, b)
			seldom.Interval = time.Hour
			l := among(t, 2, seldom)
			before := len(b.begun())
			for range 1000 {
				l.Hear(claim(1, 2, ClaimedDown, ByHTTP))
				time.Sleep(10 * time.Millisecond)
			}
			if checks := len(b.begun()) - before; checks < 8 || checks > 12 {
				t.Errorf("%d checks in ten seconds", checks)
			}
		},
		"R9: a claim by requests counts for every kind of check": func(t *testing.T) {
			l := among(t, 2, shared(1, &farEnd{takes: time.Millisecond}))
			l.Hear(claim(1, 2, ClaimedDown, ByTraffic))
			if l.state(1) != Suspect {
				t.Errorf("it is %v", l.state(1))
			}
		},
		"R9: another server name or scope is another place": func(t *testing.T) {
			secure := shared(1, &farEnd{takes: time.Millisecond})
			secure.Subject.ServerName, secure.Subject.Scope = "one.example", "east"
			l := among(t, 2, secure)
			for _, p := range []Place{{Addr: key(1).Addr}, {Addr: key(1).Addr, ServerName: "one.example"}, {Addr: key(1).Addr, Scope: "east"}} {
				c := claim(1, 2, ClaimedDown, ByTCP)
				c.Place = p
				l.Hear(c)
				if l.state(1) != Up {
					t.Errorf("a claim about %+v counts", p)
				}
			}
		},
		"R9: who does not check does not listen, and says nothing": func(t *testing.T) {
			off := target(1, nil)
			off.Subject = Subject{Place: Place{Addr: off.Addr}, Kind: ByTCP}
			l := among(t, 2, off)
			l.down(1, 2)
			if l.state(1) != Up {
				t.Errorf("it is %v", l.state(1))
			}
			l.Observe(key(1), Evidence{Source: FromTraffic, Kind: NoConnection, Reason: "refused"})
			l.Observe(key(1), Evidence{Source: FromTraffic, Kind: NoConnection, Reason: "refused"})
			l.said(t)
			l.want(t, "app-1:8080 out: 2x refused")
		},
		"R10: its owner drains it, and takes that back": func(t *testing.T) {
			l := among(t, 2, shared(1, &farEnd{}), shared(2, &farEnd{}))
			own := claim(1, 2, ClaimedDraining, ByOwner)
			own.From = key(1).Addr.Addr()
			l.Hear(own)
			l.want(t, "app-1:8080 draining: web-2 asks for no new requests")
			own.State = ClaimedUp
			l.Hear(own)
			if l.state(1) != Up {
				t.Errorf("it is %v", l.state(1))
			}
			own.State = ClaimedDraining
			l.Hear(own)
			l.Forget(2, own.Subject)
			if l.state(1) != Up {
				t.Errorf("it is %v when the claim is void", l.state(1))
			}
		},
		"R10: nobody else drains it": func(t *testing.T) {
			l := among(t, 2, shared(1, &farEnd{}), shared(2, &farEnd{}))
			for _, from := range []netip.Addr{{}, key(2).Addr.Addr(), netip.MustParseAddr("127.0.0.1")} {
				c := claim(1, 2, ClaimedDraining, ByOwner)
				c.From = from
				l.Hear(c)
				notOwner := claim(1, 3, ClaimedDraining, ByTCP)
				notOwner.From = key(1).Addr.Addr()
				l.Hear(notOwner)
				if l.state(1) != Up {
					t.Errorf("%v drained it", from)
				}
			}
		},
		"R10: of a cluster half at most is drained, the first come first": func(t *testing.T) {
			l := among(t, 5, shared(1, &farEnd{}), shared(2, &farEnd{}), shared(3, &farEnd{}), shared(4, &farEnd{}), shared(5, &farEnd{}))
			for i := 5; i >= 1; i-- {
				c := claim(i, uint64(i), ClaimedDraining, ByOwner)
				c.From = key(i).Addr.Addr()
				l.Hear(c)
				time.Sleep(time.Millisecond)
			}
			for i, want := range []State{1: Up, 2: Up, 3: Up, 4: Draining, 5: Draining} {
				if i > 0 && l.state(i) != want {
					t.Errorf("app-%d is %v, want %v", i, l.state(i), want)
				}
			}
			l.Set([]Target{shared(4, &farEnd{})})
			if l.state(4) != Up {
				t.Error("the only one of a cluster is drained")
			}
		},
		"R10: one that is down is down, however its owner drains it": func(t *testing.T) {
			b := &farEnd{}
			l := among(t, 2, shared(1, b), shared(2, &farEnd{}))
			b.become(refused())
			time.Sleep(5 * time.Second)
			c := claim(1, 2, ClaimedDraining, ByOwner)
			c.From = key(1).Addr.Addr()
			l.Hear(c)
			if l.state(1) != Down {
				t.Errorf("it is %v", l.state(1))
			}
		},
	} {
		t.Run(name, func(t *testing.T) { synctest.Test(t, story) })
	}
}

// eventuallyChecking waits until a check is under way.
func eventuallyChecking(f *farEnd) {
	for {
		f.mu.Lock()
		now := f.now
		f.mu.Unlock()
		if now > 0 {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

func TestThePauseBeforeAConfirmationGrowsWithThePeers(t *testing.T) {
	for peers, want := range map[int]time.Duration{0: 0, 2: 8 * time.Millisecond, 50: 200 * time.Millisecond, 1000: longestPause} {
		if got := confirmPause(peers, 1); got != want {
			t.Errorf("%d peers: up to %v, want %v", peers, got, want)
		}
	}
}

func TestOnlyAddressesThatMeanTheSameToOthersAreShared(t *testing.T) {
	for text, want := range map[string][2]bool{ // beyond this host, among peers on it
		"10.0.0.7": {true, true}, "192.0.2.1": {true, true}, "2001:db8::1": {true, true}, "fd00::1": {true, true},
		"127.0.0.1": {false, true}, "127.3.2.1": {false, true}, "::1": {false, true}, "::ffff:127.0.0.1": {false, true},
		"169.254.1.1": {false, false}, "fe80::1": {false, false}, "0.0.0.0": {false, false}, "::": {false, false}, "224.0.0.1": {false, false},
	} {
		addr := netip.MustParseAddr(text)
		if got := [2]bool{Shareable(addr, false), Shareable(addr, true)}; got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
	if Shareable(netip.Addr{}, true) {
		t.Error("no address is shared")
	}
}

func TestPeersOnOneHostMayDrainWhatIsOnLoopback(t *testing.T) {
	c := Claim{Subject: Subject{Place: Place{Addr: netip.MustParseAddrPort("127.0.0.1:80")}, Kind: ByOwner}, State: ClaimedDraining, From: netip.MustParseAddr("127.0.0.2")}
	if mayDrain(c, false) || !mayDrain(c, true) {
		t.Error("it depends on where the peers are")
	}
	c.From = netip.MustParseAddr("10.0.0.7")
	if mayDrain(c, true) {
		t.Error("a peer of elsewhere drains our loopback")
	}
}

func TestASubjectIsItsKey(t *testing.T) {
	for _, s := range []Subject{
		{Place: Place{Addr: netip.MustParseAddrPort("10.0.0.7:80")}, Kind: ByTCP},
		{Place: Place{Addr: netip.MustParseAddrPort("[2001:db8::1]:443"), ServerName: "one.example", Scope: "east"}, Kind: ByTLS},
		{Place: Place{Addr: netip.MustParseAddrPort("10.0.0.7:80"), Scope: "east"}, Kind: ByHTTP, Path: 0xfffffffe},
	} {
		got, err := ParseSubject(s.Key())
		if err != nil || got != s {
			t.Errorf("%+v became %+v, %v", s, got, err)
		}
	}
	if n := len(Subject{Place: Place{Addr: netip.MustParseAddrPort("10.0.0.7:80")}, Kind: ByTCP}.Key()); n > 12 {
		t.Errorf("a plain key has %d bytes", n)
	}
	for _, wrong := range []string{"", "x", "\x01\x05aaaaaaa", "\x01\x04abc", "\x03\x04\x0a\x00\x00\x07\x00\x50\x01\x02\x03", "\x01\x04\x0a\x00\x00\x07\x00\x50\x09abc"} {
		if _, err := ParseSubject(wrong); !errors.Is(err, errSubject) {
			t.Errorf("%q is taken", wrong)
		}
	}
}

// Whatever comes from the network is read or refused, and what is read has one key.
func FuzzSubject(f *testing.F) {
	f.Add(Subject{Place: Place{Addr: netip.MustParseAddrPort("10.0.0.7:80"), ServerName: "a", Scope: "b"}, Kind: ByHTTP, Path: 9}.Key())
	f.Add(Subject{Place: Place{Addr: netip.MustParseAddrPort("[::1]:80")}, Kind: ByOwner}.Key())
	f.Add("\x01\x10\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x7f\x00\x00\x01\x00\x50\x00")
	f.Fuzz(func(t *testing.T, key string) {
		s, err := ParseSubject(key)
		if err != nil {
			return
		}
		if again := s.Key(); again != key {
			t.Errorf("%q is read as %+v, whose key is %q", key, s, again)
		}
	})
}

func TestDifferentSubjectsHaveDifferentKeys(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		drawn := func(name string) Subject {
			s := Subject{Kind: ClaimKind(rapid.IntRange(1, 6).Draw(t, name+" kind"))}
			ip := netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, name+" ip")))
			if rapid.Bool().Draw(t, name+" is v6") {
				ip = netip.AddrFrom16([16]byte(append([]byte{0x20, 1}, rapid.SliceOfN(rapid.Byte(), 14, 14).Draw(t, name+" v6")...)))
			}
			s.Addr = netip.AddrPortFrom(ip, rapid.Uint16().Draw(t, name+" port"))
			s.ServerName = rapid.StringN(0, 20, 60).Draw(t, name+" server name")
			s.Scope = rapid.StringN(0, 20, 60).Draw(t, name+" scope")
			if s.Kind == ByHTTP {
				s.Path = rapid.Uint32().Draw(t, name+" path")
			}
			return s
		}
		a, b := drawn("a"), drawn("b")
		if got, err := ParseSubject(a.Key()); err != nil || got != a {
			t.Fatalf("%+v became %+v, %v", a, got, err)
		}
		if (a == b) != (a.Key() == b.Key()) {
			t.Fatalf("%+v and %+v have the keys %q and %q", a, b, a.Key(), b.Key())
		}
	})
}

// However claims are put and dropped, what is held is what was put last and not
// dropped, and a place of which nobody says anything costs nothing.
func TestHearsayHoldsWhatWasPutLastAndNotDropped(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := hearsay{}
		type at struct {
			place Place
			voice voice
		}
		want := map[at]Claim{}
		for i := range rapid.IntRange(0, 60).Draw(t, "steps") {
			c := claim(rapid.IntRange(1, 4).Draw(t, "target"), rapid.Uint64Range(1, 4).Draw(t, "observer"),
				ClaimState(rapid.IntRange(0, 2).Draw(t, "state")), ClaimKind(rapid.IntRange(1, 5).Draw(t, "kind")))
			c.Made = time.Unix(int64(i), 0)
			where := at{c.Place, c.voice()}
			if rapid.Bool().Draw(t, "drop") {
				h.drop(c.Observer, c.Subject)
				delete(want, where)
			} else {
				h.put(c)
				want[where] = c
			}
		}
		held := 0
		for place, about := range h {
			if len(about) == 0 {
				t.Fatalf("nobody says anything of %v, and it is held", place)
			}
			for v, c := range about {
				if held++; want[at{place, v}] != c {
					t.Fatalf("held %+v, want %+v", c, want[at{place, v}])
				}
			}
		}
		if held != len(want) {
			t.Fatalf("%d held, want %d", held, len(want))
		}
	})
}
