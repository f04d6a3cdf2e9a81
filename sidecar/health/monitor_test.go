package health

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"outrider/sidecar/cause"
)

// farEnd is a backend as a check finds it. Time is what these tests are about,
// and a socket would stop synctest's clock, so the far end is faked; the checks
// themselves have tests with sockets.
type farEnd struct {
	mu     sync.Mutex
	err    error
	takes  time.Duration
	checks []time.Time // when each began
	now    int         // under way
	most   int         // at once
}

func (f *farEnd) Check(ctx context.Context, _ netip.AddrPort) error {
	f.mu.Lock()
	f.checks = append(f.checks, time.Now())
	f.now++
	f.most = max(f.most, f.now)
	err, takes := f.err, f.takes
	f.mu.Unlock()

	select {
	case <-time.After(takes):
	case <-ctx.Done():
		err = ctx.Err()
	}
	f.mu.Lock()
	f.now--
	f.mu.Unlock()
	return err
}

func (f *farEnd) become(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

func (f *farEnd) slow(takes time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.takes = takes
}

func (f *farEnd) begun() []time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.checks)
}

// monitoring is a Monitor at work and what it told.
type monitoring struct {
	*Monitor
	stop func() // ends Run and waits for it

	mu    sync.Mutex
	lines []string
	times []time.Time
	local []string
}

func monitor(t *testing.T, targets ...Target) *monitoring {
	t.Helper()
	m := &monitoring{}
	m.Monitor = New(Options{OnChange: m.onChange, OnLocal: m.onLocal, Rand: rand.New(rand.NewPCG(1, 2))})
	m.Set(targets)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { m.Run(ctx) })
	m.stop = func() {
		cancel()
		running.Wait()
	}
	t.Cleanup(m.stop)
	return m
}

func (m *monitoring) onChange(c Change) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lines = append(m.lines, c.String())
	m.times = append(m.times, time.Now())
}

func (m *monitoring) onLocal(reason string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.local = append(m.local, reason)
}

// told is what it told up to now.
func (m *monitoring) told() []string {
	synctest.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.lines)
}

func (m *monitoring) want(t *testing.T, lines ...string) {
	t.Helper()
	if told := m.told(); !slices.Equal(told, lines) {
		t.Errorf("told %q, want %q", told, lines)
	}
}

func key(i int) Key {
	return Key{"one", netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), 8080)}
}

func target(i int, c Checker) Target {
	return Target{
		Key: key(i), Name: fmt.Sprintf("app-%d:8080", i), Checker: c,
		Interval: time.Second, Timeout: time.Second, Jitter: 0.1, Rise: 1, Fall: 2,
	}
}

func refused() error {
	return explained(&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}, 0)
}

func TestADeadBackendGoesOutAndComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &farEnd{}
		m := monitor(t, target(1, b))
		time.Sleep(10 * time.Second)
		m.want(t)

		b.become(refused())
		began := time.Now()
		time.Sleep(10 * time.Second)
		m.want(t, "app-1:8080 out: 2x refused")
		if after := m.times[0].Sub(began); after > 1200*time.Millisecond {
			t.Errorf("out after %v, want an interval, its jitter and the second look", after)
		}

		b.become(nil)
		time.Sleep(5 * time.Second)
		backAfterTen := regexp.MustCompile(`^app-1:8080 back after (9|10)(\.\d)?s$`)
		if told := m.told(); len(told) != 2 || !backAfterTen.MatchString(told[1]) {
			t.Errorf("told %q, want it back after about 10 s", told)
		}
	})
}

func TestASilentBackendGoesOutWithTheConfiguredTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &farEnd{takes: time.Hour}
		m := monitor(t, target(1, b))
		time.Sleep(5 * time.Second)
		m.want(t, "app-1:8080 out: 2x timeout after 1s")
	})
}

func TestTheFirstRoundBeginsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &farEnd{takes: 300 * time.Millisecond}
		bad := &farEnd{err: refused()}
		off := target(3, nil)
		m := monitor(t, target(1, b), target(2, bad), off)
		synctest.Wait()
		select {
		case <-m.FirstRound():
			t.Fatal("the first round is over before the first check")
		default:
		}
		began := time.Now()
		<-m.FirstRound()
		if took := time.Since(began); took != 300*time.Millisecond {
			t.Errorf("the first round took %v, want the slowest check's 300ms", took)
		}
	})
}

func TestTheFirstRoundWaitsForNothingThatIsNotChecked(*testing.T) {
	m := New(Options{Rand: rand.New(rand.NewPCG(1, 2))})
	m.Set([]Target{target(1, nil)})
	<-m.FirstRound()

	m = New(Options{Rand: rand.New(rand.NewPCG(1, 2))})
	m.Set([]Target{target(1, &farEnd{})})
	m.Set([]Target{target(2, &farEnd{})}) // the first one left unchecked
	<-m.FirstRound()
}

func TestAFirstFailureIsCheckedAgainWithin100ms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &farEnd{}
		slow := target(1, b)
		slow.Interval, slow.Fall = time.Minute, 3
		m := monitor(t, slow)
		time.Sleep(10 * time.Minute)
		b.become(refused())
		before := len(b.begun())
		time.Sleep(10 * time.Minute)
		m.want(t, "app-1:8080 out: 3x refused")
		checks := b.begun()[before:]
		if gap := checks[1].Sub(checks[0]); gap <= 0 || gap > 100*time.Millisecond {
			t.Errorf("checked again after %v", gap)
		}
		if gap := checks[2].Sub(checks[1]); gap < 50*time.Second {
			t.Errorf("the third check came after %v, want the interval", gap)
		}
	})
}

func TestChecksKeepTheirIntervalAndItsJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &farEnd{takes: 50 * time.Millisecond}
		monitor(t, target(1, b))
		time.Sleep(200 * time.Second)
		checks := b.begun()
		if len(checks) < 190 || len(checks) > 210 {
			t.Errorf("%d checks in 200 s", len(checks))
		}
		shortest, longest := time.Hour, time.Duration(0)
		for i := 2; i < len(checks); i++ { // the first gap spreads the start
			gap := checks[i].Sub(checks[i-1])
			shortest, longest = min(shortest, gap), max(longest, gap)
		}
		if shortest < 900*time.Millisecond || longest > 1100*time.Millisecond {
			t.Errorf("gaps from %v to %v, want within 10 %% of a second", shortest, longest)
		}
		if longest-shortest < 100*time.Millisecond {
			t.Errorf("gaps from %v to %v: no jitter", shortest, longest)
		}
	})
}

func TestChecksSpreadAfterTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &farEnd{}
		var targets []Target
		for i := range 100 {
			targets = append(targets, target(i, b))
		}
		began := time.Now()
		monitor(t, targets...)
		time.Sleep(999 * time.Millisecond)
		perTenth := make([]int, 10)
		for _, c := range b.begun() {
			perTenth[int(c.Sub(began)/(100*time.Millisecond))]++
		}
		if perTenth[0] != 100 {
			t.Errorf("%d checks at once, want all 100", perTenth[0])
		}
		for i, n := range perTenth[2:] {
			if n < 3 || n > 25 {
				t.Errorf("%d checks in tenth %d of the first second, want about 10", n, i+2)
			}
		}
	})
}

func TestChecksAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &farEnd{takes: 100 * time.Millisecond}
		var targets []Target
		for i := range 100 {
			targets = append(targets, target(i, b))
		}
		m := monitor(t, targets...)
		began := time.Now()
		<-m.FirstRound()
		if took := time.Since(began); took != 700*time.Millisecond {
			t.Errorf("100 checks of 100ms took %v, want 16 at once: 700ms", took)
		}
		time.Sleep(time.Minute)
		m.stop()
		if b.most != 16 {
			t.Errorf("%d checks at once, want 16", b.most)
		}
	})
}

func TestTrafficIsEvidenceAndStartsACheckAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &farEnd{}
		slow := target(1, b)
		slow.Interval = time.Hour
		m := monitor(t, slow)
		time.Sleep(3 * time.Hour)

		b.become(refused())
		before := len(b.begun())
		m.Observe(key(1), Evidence{Source: FromTraffic, Reason: "reset"})
		m.want(t, "app-1:8080 out: reset, refused")
		if now := b.begun(); len(now) != before+1 || !now[before].Equal(time.Now()) {
			t.Error("the failed request did not start a check at once")
		}
		if s := m.Snapshot()[0]; s.State != Down || s.Reason != "refused" || s.Source != FromCheck {
			t.Errorf("status %+v, want it down by the check", s)
		}
	})
}

func TestACheckRefutesWhatTrafficSaw(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &farEnd{}
		slow := target(1, b)
		slow.Interval = time.Hour
		m := monitor(t, slow)
		time.Sleep(3 * time.Hour)
		for range 10 {
			m.Observe(key(1), Evidence{Source: FromTraffic, Reason: "reset"})
			time.Sleep(time.Minute)
		}
		m.want(t)

		m.Observe(key(1), Evidence{Source: FromTraffic, Reason: "reset"})
		m.Observe(key(1), Evidence{Source: FromTraffic, Reason: "reset"})
		m.want(t, "app-1:8080 out: 2x reset", "app-1:8080 back after 0s")
		m.Observe(key(7), Evidence{Reason: "of a target that nobody watches"})
	})
}

func TestAStormOfFailingTrafficCausesNoStormOfChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &farEnd{}
		slow := target(1, b)
		slow.Interval = time.Hour
		m := monitor(t, slow)
		time.Sleep(3 * time.Hour)
		before := len(b.begun())
		for range 1000 { // a second of it
			for range 10 {
				m.Observe(key(1), Evidence{Source: FromTraffic, Reason: "timeout after 30s"})
			}
			time.Sleep(time.Millisecond)
		}
		synctest.Wait()
		if checks := len(b.begun()) - before; checks < 9 || checks > 11 {
			t.Errorf("%d checks in a second of failures, want about 10", checks)
		}
	})
}

func TestSuccessfulTrafficRestoresNothingThatIsChecked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &farEnd{err: refused()}
		m := monitor(t, target(1, b))
		time.Sleep(5 * time.Second)
		m.Observe(key(1), Evidence{OK: true, Source: FromTraffic})
		m.want(t, "app-1:8080 out: 2x refused")
	})
}

func TestLocalErrorsAreNoEvidence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &farEnd{err: explained(&net.OpError{Op: "dial", Err: os.NewSyscallError("socket", syscall.EMFILE)}, 0)}
		m := monitor(t, target(1, b), target(2, b))
		time.Sleep(90 * time.Second)
		m.want(t)
		if want := []string{"too many open files", "too many open files"}; !slices.Equal(m.local, want) {
			t.Errorf("told %q, want %q: once a minute", m.local, want)
		}
		if s := m.Snapshot()[0]; s.State != Up || s.LastLocal != "too many open files" || s.Streak.Bad != 0 {
			t.Errorf("status %+v, want it up and the trouble named", s)
		}
		b.become(nil)
		time.Sleep(2 * time.Second)
		if s := m.Snapshot()[0]; s.LastLocal != "" {
			t.Errorf("trouble %q, want it over", s.LastLocal)
		}
	})
}

func TestWithoutChecksFailuresTakeOutForFiveSecondsThenOneMoreTrial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := monitor(t, target(1, nil))
		fail := func() { m.Observe(key(1), Evidence{Source: FromTraffic, Reason: "refused"}) }
		fail()
		m.want(t)
		fail()
		m.want(t, "app-1:8080 out: 2x refused")
		fail() // a request that was under way
		time.Sleep(4999 * time.Millisecond)
		m.want(t, "app-1:8080 out: 2x refused")
		time.Sleep(time.Millisecond)
		m.want(t, "app-1:8080 out: 2x refused", "app-1:8080 back after 5s: on trial")

		time.Sleep(time.Second)
		fail()
		if told := m.told(); len(told) != 3 || told[2] != "app-1:8080 out: refused" {
			t.Errorf("told %q, want it out again with the first failure", told)
		}
		time.Sleep(5 * time.Second)
		if told := m.told(); len(told) != 4 {
			t.Errorf("told %q, want another trial", told)
		}

		m.Observe(key(1), Evidence{OK: true, Source: FromTraffic})
		fail()
		if told := m.told(); len(told) != 4 {
			t.Errorf("told %q, want a success to end the trial", told)
		}
	})
}

func TestWithoutChecksFailuresAreForgottenInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := monitor(t, target(1, nil))
		for range 10 {
			m.Observe(key(1), Evidence{Source: FromTraffic, Reason: "refused"})
			time.Sleep(31 * time.Second)
		}
		m.want(t)
	})
}

func TestAReloadKeepsWhatIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dead, fine := &farEnd{err: refused()}, &farEnd{}
		m := monitor(t, target(1, dead), target(2, fine))
		time.Sleep(10 * time.Second)
		since := m.Snapshot()[0].Since

		renamed := target(1, dead)
		renamed.Name = "renamed:8080"
		m.Set([]Target{target(3, fine), renamed})
		time.Sleep(time.Second)
		m.want(t, "app-1:8080 out: 2x refused")
		s := m.Snapshot()
		if len(s) != 2 || s[0].Key != key(3) || s[1].Name != "renamed:8080" {
			t.Fatalf("status %+v, want the new targets in their order", s)
		}
		if s[1].State != Down || !s[1].Since.Equal(since) {
			t.Errorf("status %+v, want it down as before", s[1])
		}
		if s[0].LastCheck.IsZero() {
			t.Error("the new target was not checked at once")
		}
	})
}

func TestAReloadLooksAgainAtWhatIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wrong := target(1, &farEnd{err: failure{reason: "status 404"}})
		wrong.Interval = time.Hour
		m := monitor(t, wrong)
		time.Sleep(time.Minute)
		m.want(t, "app-1:8080 out: 2x status 404")
		fixed := target(1, &farEnd{})
		fixed.Interval = time.Hour
		m.Set([]Target{fixed})
		m.want(t, "app-1:8080 out: 2x status 404", "app-1:8080 back after 59.9s")
	})
}

func TestAShorterIntervalTakesEffectAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &farEnd{}
		slow := target(1, b)
		slow.Interval = time.Hour
		m := monitor(t, slow)
		time.Sleep(3*time.Hour + time.Minute)
		before := len(b.begun())
		m.Set([]Target{target(1, b)})
		time.Sleep(10 * time.Second)
		if checks := len(b.begun()) - before; checks < 9 {
			t.Errorf("%d checks in 10 s after the reload", checks)
		}
	})
}

func TestATargetThatReturnsIsNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &farEnd{err: refused()}
		m := monitor(t, target(1, b))
		time.Sleep(10 * time.Second)
		b.slow(500 * time.Millisecond)
		time.Sleep(1100 * time.Millisecond)
		m.Set(nil) // perhaps in the middle of a check
		if s := m.Snapshot(); len(s) != 0 {
			t.Fatalf("status %+v of nothing", s)
		}
		m.Observe(key(1), Evidence{Reason: "refused"})
		m.Set([]Target{target(1, b)})
		if s := m.Snapshot()[0]; s.State != Up || s.Streak.Bad != 0 {
			t.Errorf("status %+v, want a clean record", s)
		}
		time.Sleep(499 * time.Millisecond)
		if s := m.Snapshot()[0]; s.Streak.Bad != 0 {
			t.Error("the check of before counted")
		}
		time.Sleep(5 * time.Second)
		m.want(t, "app-1:8080 out: 2x refused", "app-1:8080 out: 2x refused")
	})
}

func TestNothingIsToldAboutATargetAfterItLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := 0
		m := New(Options{OnChange: func(Change) { told++ }, Rand: rand.New(rand.NewPCG(1, 2))})
		m.Set([]Target{target(1, nil)})
		m.Observe(key(1), Evidence{Reason: "refused"})
		m.Observe(key(1), Evidence{Reason: "refused"}) // out, but Run has not told it yet
		m.Set(nil)
		m.Set([]Target{target(1, nil)})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		m.Run(ctx)
		if told != 0 {
			t.Error("told that the target of before went out: whoever hears it would take out the new one")
		}
	})
}

func TestChecksCanBeSwitchedOffAndOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &farEnd{err: refused(), takes: 10 * time.Millisecond}
		m := monitor(t, target(1, b))
		time.Sleep(10 * time.Second)
		m.want(t, "app-1:8080 out: 2x refused")

		m.Set([]Target{target(1, nil)})
		m.Set([]Target{target(1, nil)}) // must not begin the penalty anew later
		time.Sleep(4 * time.Second)
		m.Set([]Target{target(1, nil)})
		time.Sleep(time.Second)
		if told := m.told(); len(told) != 2 {
			t.Fatalf("told %q, want a trial five seconds after the checks ended", told)
		}
		before := len(b.begun())
		time.Sleep(time.Minute)
		if len(b.begun()) != before {
			t.Error("it was checked though checks are off")
		}
		m.Set([]Target{target(1, b)})
		time.Sleep(20 * time.Millisecond)
		if len(b.begun()) != before+1 {
			t.Error("it was not checked when checks came back")
		}
	})
}

func TestACheckUnderWayWhenChecksEndIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		once := target(1, &farEnd{err: refused(), takes: 100 * time.Millisecond})
		once.Fall = 1
		m := monitor(t, once)
		synctest.Wait()
		once.Checker = nil
		m.Set([]Target{once})
		time.Sleep(time.Minute)
		m.want(t)
		select {
		case <-m.FirstRound():
		default:
			t.Error("the first round waits for a check that nobody makes")
		}
	})
}

func TestRunEndsWithItsChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &farEnd{takes: time.Hour}
		m := monitor(t, target(1, b), target(2, b))
		synctest.Wait()
		m.stop()
		if b.now != 0 {
			t.Errorf("%d checks under way after Run", b.now)
		}
		if s := m.Snapshot()[0]; len(m.lines) != 0 || s.Streak.Bad != 0 || s.LastLocal != "" {
			t.Error("the end of the program counted against a backend")
		}
	})
}

func TestEverythingAtOnce(t *testing.T) {
	b := &farEnd{err: refused()}
	m := monitor(t, target(0, b))
	var busy sync.WaitGroup
	for g := range 4 {
		busy.Go(func() {
			for i := range 500 {
				m.Observe(key(i%4), Evidence{Reason: "refused"})
				_ = m.Snapshot()
				if g == 0 {
					m.Set([]Target{target(i%3, b), target(3, nil)})
				}
			}
		})
	}
	busy.Wait()
	deadline := time.After(10 * time.Second)
	for {
		if s := m.Snapshot(); s[0].State == Down {
			break
		}
		select {
		case <-deadline:
			t.Fatal("the dead backend is up")
		case <-time.After(5 * time.Millisecond):
		}
	}
	m.stop()
}

func TestARealBackendGoesOutAndComesBack(t *testing.T) {
	backend := listen(t)
	addr := backend.addr()
	changes := make(chan Change, 10)
	m := New(Options{OnChange: func(c Change) { changes <- c }, Rand: rand.New(rand.NewPCG(1, 2))})
	watched := Target{
		Key: Key{"one", addr}, Name: "app", Checker: TCP{},
		Interval: 20 * time.Millisecond, Timeout: time.Second, Rise: 1, Fall: 2,
	}
	m.Set([]Target{watched})
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { m.Run(ctx) })
	defer running.Wait()
	defer cancel()

	<-m.FirstRound()
	backend.close()
	if c := <-changes; c.String() != "app out: 2x refused" {
		t.Errorf("told %q", c)
	}
	again, err := net.Listen("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if c := <-changes; c.To != Up || c.From != Down {
		t.Errorf("told %q", c)
	}
}

func BenchmarkObserve(b *testing.B) {
	m := New(Options{Rand: rand.New(rand.NewPCG(1, 2))})
	m.Set([]Target{target(1, &farEnd{})})
	ev := Evidence{Source: FromTraffic, Reason: "refused"}
	b.ReportAllocs()
	for b.Loop() {
		m.Observe(key(1), ev)
	}
}

func TestDeadlineAndCancellationAreToldApart(t *testing.T) {
	if cause.Local(context.DeadlineExceeded) || !cause.Local(context.Canceled) {
		t.Error("a timeout is the backend's, a cancellation is ours")
	}
	if !cause.Local(fmt.Errorf("dial: %w", errors.Join(syscall.EADDRNOTAVAIL))) {
		t.Error("no free port is ours")
	}
}

func TestTheTargetsOfOneClusterAreReplacedAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := func(cluster string, target Target) Target {
			target.Cluster = cluster
			return target
		}
		bad := &farEnd{err: refused()}
		m := monitor(t, in("a", target(1, bad)), in("b", target(2, &farEnd{})))
		time.Sleep(5 * time.Second)
		m.SetCluster("b", []Target{in("b", target(3, &farEnd{})), in("b", target(4, bad))})
		time.Sleep(5 * time.Second)
		states := make(map[string]State)
		for _, s := range m.Snapshot() {
			states[s.Cluster+" "+s.Name] = s.State
		}
		want := map[string]State{"a app-1:8080": Down, "b app-3:8080": Up, "b app-4:8080": Down}
		if !maps.Equal(states, want) {
			t.Errorf("the states are %v, want %v", states, want)
		}
		m.SetCluster("a", nil)
		if n := len(m.Snapshot()); n != 2 {
			t.Errorf("%d are watched after a cluster has gone", n)
		}
	})
}
