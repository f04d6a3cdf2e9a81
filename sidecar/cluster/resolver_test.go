package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/net/dns/dnsmessage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// resolving is a Resolver at work and what it told.
type resolving struct {
	*Resolver
	stop func() // ends Run and waits for it

	mu      sync.Mutex
	lists   [][]string // addresses of the members, in order
	trouble []string   // "host: error", "host: fine"
}

func resolve(t *testing.T, lookup Lookup, names Names) *resolving {
	t.Helper()
	r := &resolving{}
	r.Resolver = NewResolver(ResolverOptions{Lookup: lookup, OnMembers: r.onMembers, OnTrouble: r.onTrouble})
	if err := r.Set(names); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { r.Run(ctx) })
	r.stop = func() {
		cancel()
		running.Wait()
	}
	t.Cleanup(r.stop)
	return r
}

func (r *resolving) onMembers(members []Member) {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := []string{}
	for _, m := range members {
		list = append(list, m.Addr.String())
	}
	r.lists = append(r.lists, list)
}

func (r *resolving) onTrouble(host string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		r.trouble = append(r.trouble, host+": fine")
		return
	}
	r.trouble = append(r.trouble, host+": "+err.Error())
}

func (r *resolving) all() [][]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.lists)
}

// now is the newest list.
func (r *resolving) now() []string {
	all := r.all()
	if len(all) == 0 {
		return nil
	}
	return all[len(all)-1]
}

func (r *resolving) told() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.trouble)
}

// want waits until the newest list is addrs.
func (r *resolving) want(t *testing.T, addrs ...string) {
	t.Helper()
	eventually(t, func() bool { return slices.Equal(r.now(), addrs) }, func() string {
		return fmt.Sprintf("members %v, want %v", r.now(), addrs)
	})
}

func eventually(t *testing.T, done func() bool, complaint func() string) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal(complaint())
		}
	}
}

func often(addresses ...string) Names {
	return every(5*time.Millisecond, addresses...)
}

func every(interval time.Duration, addresses ...string) Names {
	n := Names{Interval: interval}
	for _, a := range addresses {
		n.Backends = append(n.Backends, Name{Address: a})
	}
	return n
}

func TestOneFamilyIsUsedPerName(t *testing.T) {
	z := serveZone(t)
	z.answer("both.test", "10.0.0.2", "fd00::2", "10.0.0.1", "fd00::1")
	z.answer("six.test", "fd00::6")
	for _, c := range []struct {
		family  Family
		address string
		want    []string
	}{
		{AnyFamily, "both.test:80", []string{"10.0.0.1:80", "10.0.0.2:80"}},
		{AnyFamily, "six.test:80", []string{"[fd00::6]:80"}},
		{IPv4, "both.test:80", []string{"10.0.0.1:80", "10.0.0.2:80"}},
		{IPv6, "both.test:80", []string{"[fd00::1]:80", "[fd00::2]:80"}},
	} {
		names := often(c.address)
		names.Family = c.family
		r := resolve(t, z.resolver(), names)
		r.want(t, c.want...)
		r.stop()
	}
}

func TestAFamilyThatANameDoesNotHaveIsTrouble(t *testing.T) {
	z := serveZone(t)
	z.answer("six.test", "fd00::6")
	names := often("six.test:80")
	names.Family = IPv4
	r := resolve(t, z.resolver(), names)
	<-r.FirstRound()
	if told := r.told(); len(told) != 1 || !strings.Contains(told[0], "no such host") {
		t.Errorf("told %v, want the host to be missing", told)
	}
}

func TestAnAnswerReplacesTheAddressesAtOnce(t *testing.T) {
	z := serveZone(t)
	z.answer("app.test", "10.0.0.1", "10.0.0.2")
	r := resolve(t, z.resolver(), often("app.test:80", "10.9.9.9:90"))
	r.want(t, "10.0.0.1:80", "10.0.0.2:80", "10.9.9.9:90")
	z.answer("app.test", "10.0.0.3")
	r.want(t, "10.0.0.3:80", "10.9.9.9:90")
}

func TestAFailingServerTakesNothingAway(t *testing.T) {
	z := serveZone(t)
	z.answer("app.test", "10.0.0.1", "fd00::1")
	r := resolve(t, z.resolver(), often("app.test:80"))
	r.want(t, "10.0.0.1:80")

	z.fail("app.test", dnsmessage.RCodeServerFailure)
	asked := z.asked()
	eventually(t, func() bool { return z.asked() > asked+10 }, func() string { return "it stopped asking" })
	if now := r.now(); !slices.Equal(now, []string{"10.0.0.1:80"}) {
		t.Errorf("members %v after failed questions, want the last known", now)
	}

	z.answer("app.test", "10.0.0.2")
	r.want(t, "10.0.0.2:80")
	told := r.told()
	if len(told) != 2 || !strings.Contains(told[0], "server misbehaving") || told[1] != "app.test: fine" {
		t.Errorf("told %v, want the trouble once and its end", told)
	}
}

func TestAHostThatAppearsLaterIsFound(t *testing.T) {
	z := serveZone(t)
	r := resolve(t, z.resolver(), often("late.test:80"))
	<-r.FirstRound()
	if now := r.now(); len(now) != 0 {
		t.Errorf("members %v of a host that does not exist", now)
	}
	z.answer("late.test", "10.0.0.1")
	r.want(t, "10.0.0.1:80")
}

// lookup is the far end where time matters and a real server does not fit: a
// socket would stop synctest's clock.
type lookup func(ctx context.Context, network, host string) ([]netip.Addr, error)

func (l lookup) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	return l(ctx, network, host)
}

func notFound(host string) error {
	return &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

func TestAddressesAndLocalhostAreNeverAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		never := lookup(func(_ context.Context, _, host string) ([]netip.Addr, error) {
			t.Errorf("asked for %q", host)
			return nil, notFound(host)
		})
		names := every(time.Second, "10.0.0.1:80", "[::1]:81", "localhost:82", "app.LOCALHOST.:83", "[::ffff:10.0.0.2]:84")
		r := resolve(t, never, names)
		synctest.Wait()
		want := []string{"10.0.0.1:80", "[::1]:81", "127.0.0.1:82", "127.0.0.1:83", "10.0.0.2:84"}
		if now := r.now(); !slices.Equal(now, want) {
			t.Errorf("members %v, want %v", now, want)
		}
		select {
		case <-r.FirstRound():
		default:
			t.Error("the first round is not over though nothing is to be asked")
		}
		r.Kick("10.0.0.1:80")
		r.Kick("localhost:82")
		time.Sleep(time.Minute)

		names = every(time.Second, "localhost:82")
		names.Family = IPv6
		if err := r.Set(names); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if now := r.now(); !slices.Equal(now, []string{"[::1]:82"}) {
			t.Errorf("members %v, want localhost by IPv6", now)
		}
	})
}

func TestAMissingHostKeepsItsAddressesForThirtySeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var exists atomic.Bool
		exists.Store(true)
		r := resolve(t, lookup(func(_ context.Context, network, host string) ([]netip.Addr, error) {
			if !exists.Load() || network != "ip4" {
				return nil, notFound(host)
			}
			return []netip.Addr{netip.MustParseAddr("10.0.0.1")}, nil
		}), every(7*time.Second, "app.test:80"))
		synctest.Wait()
		r.want(t, "10.0.0.1:80")

		exists.Store(false)
		time.Sleep(7*time.Second + 29*time.Second) // the first answer without it comes after 7 s
		exists.Store(true)
		time.Sleep(7 * time.Second)
		exists.Store(false)
		time.Sleep(30 * time.Second) // its return, seen at 37 s, started the time anew
		synctest.Wait()
		if len(r.all()) != 1 {
			t.Fatalf("lists %v, want the first only", r.all())
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if now := r.now(); len(now) != 0 || len(r.all()) != 2 {
			t.Errorf("lists %v, want the member gone", r.all())
		}
	})
}

func TestAMissingHostIsForgottenAtThirtySecondsSharp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var exists atomic.Bool
		exists.Store(true)
		var gone time.Time
		r := NewResolver(ResolverOptions{
			Lookup: lookup(func(_ context.Context, _, host string) ([]netip.Addr, error) {
				if !exists.Load() {
					return nil, notFound(host)
				}
				return []netip.Addr{netip.MustParseAddr("10.0.0.1")}, nil
			}),
			OnMembers: func(m []Member) {
				if len(m) == 0 {
					gone = time.Now()
				}
			},
		})
		if err := r.Set(every(20*time.Second, "app.test:80")); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { r.Run(ctx) })
		synctest.Wait()
		began := time.Now()
		exists.Store(false)
		time.Sleep(2 * time.Minute)
		cancel()
		running.Wait()
		if after := gone.Sub(began); after != 50*time.Second {
			t.Errorf("gone after %v, want 20 s to notice and 30 s more", after)
		}
	})
}

func TestUnansweredQuestionsTakeNothingAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var silent atomic.Bool
		var asked atomic.Int32
		r := resolve(t, lookup(func(ctx context.Context, _, _ string) ([]netip.Addr, error) {
			asked.Add(1)
			if silent.Load() {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return []netip.Addr{netip.MustParseAddr("10.0.0.1")}, nil
		}), every(5*time.Second, "app.test:80"))
		synctest.Wait()
		silent.Store(true)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if len(r.all()) != 1 || len(r.told()) != 1 {
			t.Errorf("lists %v, told %v, want no change and one complaint", r.all(), r.told())
		}
		if asked.Load() < 35 {
			t.Errorf("asked %d times in 10 minutes, want one question every 15 s", asked.Load())
		}
	})
}

func TestAFailedQuestionForIPv4IsNoAnswerForIPv6(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := resolve(t, lookup(func(_ context.Context, network, _ string) ([]netip.Addr, error) {
			if network == "ip4" {
				return nil, &net.DNSError{Err: "server misbehaving", IsTemporary: true}
			}
			return []netip.Addr{netip.MustParseAddr("fd00::1")}, nil
		}), every(time.Second, "app.test:80"))
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if now := r.now(); len(now) != 0 {
			t.Errorf("members %v, want none: nobody knows whether it has IPv4", now)
		}
	})
}

func TestAKickAsksAtOnceButNotMoreThanOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked []time.Duration
		began := time.Now()
		r := resolve(t, lookup(func(context.Context, string, string) ([]netip.Addr, error) {
			asked = append(asked, time.Since(began))
			return []netip.Addr{netip.MustParseAddr("10.0.0.1")}, nil
		}), every(time.Hour, "app.test:80"))
		time.Sleep(10 * time.Second)
		for range 2500 { // 2.5 s of failing dials
			r.Kick("app.test:80")
			r.Kick("other.test:80")
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		want := []time.Duration{0, 10 * time.Second, 11 * time.Second, 12 * time.Second, 13 * time.Second}
		if !slices.Equal(asked, want) {
			t.Errorf("asked at %v, want %v", asked, want)
		}
	})
}

func TestAKickNeverPostpones(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		r := resolve(t, lookup(func(context.Context, string, string) ([]netip.Addr, error) {
			asked.Add(1)
			return []netip.Addr{netip.MustParseAddr("10.0.0.1")}, nil
		}), every(100*time.Millisecond, "app.test:80"))
		for range 1000 {
			r.Kick("app.test:80")
			time.Sleep(10 * time.Millisecond)
		}
		if n := asked.Load(); n < 99 {
			t.Errorf("asked %d times in 10 s, want every 100ms", n)
		}
	})
}

func TestAnotherFamilyIsAskedForAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := resolve(t, lookup(func(_ context.Context, network, _ string) ([]netip.Addr, error) {
			if network == "ip6" {
				return []netip.Addr{netip.MustParseAddr("fd00::1")}, nil
			}
			return []netip.Addr{netip.MustParseAddr("10.0.0.1")}, nil
		}), every(time.Hour, "app.test:80"))
		synctest.Wait()
		names := every(time.Hour, "app.test:80")
		names.Family = IPv6
		if err := r.Set(names); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if now := r.now(); !slices.Equal(now, []string{"[fd00::1]:80"}) {
			t.Errorf("members %v, want the other family's", now)
		}
	})
}

func TestAReloadLeavesNoGapAndAsksOnlyForWhatIsNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := map[string]int{}
		var mu sync.Mutex
		r := resolve(t, lookup(func(_ context.Context, _, host string) ([]netip.Addr, error) {
			mu.Lock()
			asked[host]++
			mu.Unlock()
			if host == "slow.test" {
				time.Sleep(3 * time.Second)
				return []netip.Addr{netip.MustParseAddr("10.0.0.9")}, nil
			}
			return []netip.Addr{netip.MustParseAddr("10.0.0.1")}, nil
		}), every(time.Hour, "app.test:80", "10.0.0.2:80"))
		synctest.Wait()

		if err := r.Set(every(time.Hour, "app.test:81", "slow.test:80")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if want := []string{"10.0.0.1:81", "10.0.0.1:80", "10.0.0.2:80"}; !slices.Equal(r.now(), want) {
			t.Errorf("members %v while the new host is unknown, want %v", r.now(), want)
		}
		time.Sleep(4 * time.Second)
		synctest.Wait()
		if want := []string{"10.0.0.1:81", "10.0.0.9:80"}; !slices.Equal(r.now(), want) {
			t.Errorf("members %v, want %v", r.now(), want)
		}
		if asked["app.test"] != 1 {
			t.Errorf("asked %d times for a host that stayed", asked["app.test"])
		}

		if err := r.Set(Names{}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if now := r.now(); len(now) != 0 {
			t.Errorf("members %v without names", now)
		}
	})
}

func TestQuestionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		asking, most, asked := 0, 0, 0
		var names []string
		for i := range 100 {
			names = append(names, fmt.Sprintf("app-%d.test:80", i))
		}
		r := resolve(t, lookup(func(context.Context, string, string) ([]netip.Addr, error) {
			mu.Lock()
			asking++
			asked++
			most = max(most, asking)
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			asking--
			mu.Unlock()
			return []netip.Addr{netip.MustParseAddr("10.0.0.1")}, nil
		}), every(time.Hour, names...))
		<-r.FirstRound()
		if most != maxAsking || asked != 100 {
			t.Errorf("%d questions, %d at once, want 100, %d at once", asked, most, maxAsking)
		}
	})
}

func TestRunWaitsForItsQuestions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		over := false
		r := resolve(t, lookup(func(ctx context.Context, _, _ string) ([]netip.Addr, error) {
			<-ctx.Done()
			time.Sleep(time.Second)
			over = true
			return nil, errors.New("cancelled")
		}), every(time.Hour, "app.test:80"))
		synctest.Wait()
		r.stop()
		if !over {
			t.Error("Run returned while a question was under way")
		}
	})
}

func TestAddressesThatAreNoneAreNamed(t *testing.T) {
	for _, bad := range []string{"", "app", "app:", ":80", "app:http", "app:0", "app:65536", "::1:80", "[::1]"} {
		err := NewResolver(ResolverOptions{}).Set(every(time.Second, bad))
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", bad)) {
			t.Errorf("Set(%q): %v, want an error that names it", bad, err)
		}
	}
}

func FuzzParseEndpoint(f *testing.F) {
	for _, seed := range []string{"app:80", "10.0.0.1:80", "[::1]:80", "localhost:1", "[fe80::1%eth0]:9", "a:b:c"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, address string) {
		e, err := parseEndpoint(Name{Address: address}, AnyFamily)
		if err != nil {
			return
		}
		if e.port == 0 || (e.host == "") != e.addr.IsValid() {
			t.Errorf("%q became %+v, want a port and either a host or an address", address, e)
		}
		if literal, err := netip.ParseAddrPort(address); err == nil && e.addr != literal.Addr().Unmap() {
			t.Errorf("%q became %v, want the address itself", address, e.addr)
		}
	})
}
