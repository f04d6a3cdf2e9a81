package proxy_test

import (
	"fmt"
	"testing"

	"outrider/sidecar/cluster"
	"outrider/sidecar/proxy"
)

// byKey has requests go by what the source says of them.
func byKey(from cluster.KeySource) option {
	return func(s *setup) { s.policy.Balance, s.policy.Key = cluster.Hash, from }
}

// home is which of the apps has a request; it is sent a few times.
func home(t *testing.T, s *sidecar, apps []*upstream, request string) int {
	t.Helper()
	before := make([]int, len(apps))
	for i, app := range apps {
		before[i] = len(app.requests())
	}
	const times = 4
	for range times {
		s.exchange(t, request)
	}
	for i, app := range apps {
		if len(app.requests()) == before[i]+times {
			return i
		}
	}
	return -1 // several
}

func threeApps(t *testing.T) []*upstream {
	return []*upstream{newUpstream(t, answers(ok)), newUpstream(t, answers(ok)), newUpstream(t, answers(ok))}
}

func TestRequestsOfOneKeyGoToOneBackend(t *testing.T) {
	for name, row := range map[string]struct {
		from        cluster.KeySource
		request     string // with the key
		alike, none []string
	}{
		"a header": {
			cluster.KeySource{Header: "x-user"}, "X-User: %s\r\n",
			[]string{"X-USER: %s\r\nX-Other: a\r\n", "X-User:\r\nX-User: %s\r\nX-User: more\r\n"}, []string{"", "X-User:\r\n", "X-Users: a\r\n"},
		},
		"a cookie": {
			cluster.KeySource{Cookie: "sid"}, "Cookie: sid=%s\r\n",
			[]string{"Cookie: a=b; sid=\"%s\"; sid=x\r\n", "Cookie: a=b\r\ncookie: xsid=1;sid=%s\r\n", "Cookie: sid=; sid=%s\r\n"},
			[]string{"Cookie: SID=a\r\n", "Cookie: sid\r\n", "X: sid=1\r\n", "Cookie: sid=\r\n"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			apps := threeApps(t)
			s := newSidecar(t, to(apps...), byKey(row.from))
			used := make(map[int]bool)
			for i := range 12 {
				key := fmt.Sprint("user-", i)
				want := home(t, s, apps, get(fmt.Sprintf(row.request, key)))
				used[want] = true
				for _, fields := range row.alike {
					if got := home(t, s, apps, get(fmt.Sprintf(fields, key))); got != want || got < 0 {
						t.Errorf("%q goes to %d, and %q to %d", fmt.Sprintf(row.request, key), want, fmt.Sprintf(fields, key), got)
					}
				}
			}
			for i := 12; len(used) < 3 && i < 200; i++ {
				used[home(t, s, apps, get(fmt.Sprintf(row.request, fmt.Sprint("user-", i))))] = true
			}
			if len(used) != 3 {
				t.Errorf("200 keys share %d of 3 backends", len(used))
			}
			for _, fields := range row.none {
				if got := home(t, s, apps, get(fields)); got != -1 {
					t.Errorf("%q has no key, and goes to %d alone", fields, got)
				}
			}
		})
	}
}

func TestRequestsOfOneClientGoToOneBackend(t *testing.T) {
	apps := threeApps(t)
	s := newSidecar(t, to(apps...), byKey(cluster.KeySource{}), trusting)
	used := make(map[int]bool)
	for i := 0; i < 12 || len(used) < 3 && i < 200; i++ {
		ip := fmt.Sprint("192.0.2.", i)
		got := home(t, s, apps, get("X-Forwarded-For: "+ip+"\r\n"))
		if got < 0 {
			t.Errorf("%s has several backends", ip)
		}
		used[got] = true
	}
	if len(used) != 3 {
		t.Errorf("200 clients share %d of 3 backends", len(used))
	}
	open := newSidecar(t, to(apps...), byKey(cluster.KeySource{}))
	if home(t, open, apps, get("X-Forwarded-For: 192.0.2.1\r\n")) != home(t, open, apps, get("X-Forwarded-For: 192.0.2.2\r\n")) {
		t.Error("a client that nobody trusts chooses its backend")
	}
}

func TestTheRoutersKeyGoesBeforeTheClusters(t *testing.T) {
	apps := threeApps(t)
	s := newSidecar(t, to(apps...), byKey(cluster.KeySource{Header: "X-User"}), deciding(proxy.Decision{HashKey: "ann"}))
	first := home(t, s, apps, get("X-User: 0\r\n"))
	for i := range 8 {
		if got := home(t, s, apps, get(fmt.Sprintf("X-User: %d\r\n", i))); got != first || got < 0 {
			t.Errorf("user %d goes to %d, the router's key to %d", i, got, first)
		}
	}
}
