package app

import (
	"cmp"
	"net/http"
	"slices"
	"time"

	"outrider/sidecar/admin"
)

// Traffic implements admin.Sidecar.
func (a *App) Traffic(after uint64) admin.TrafficStatus {
	seconds, last := a.history.Since(after)
	s := admin.TrafficStatus{Clusters: []admin.ClusterTraffic{}, Backends: a.accounts.Load().trail.pace(), Last: last}
	for _, name := range a.clusters.Load().names {
		c := admin.ClusterTraffic{Cluster: name, Seconds: []admin.SecondStatus{}}
		for _, one := range seconds[name] {
			c.Seconds = append(c.Seconds, admin.SecondStatus{
				Requests: one.Requests, Failed: one.Failed, P50: millis(one.P50), P95: millis(one.P95), P99: millis(one.P99),
			})
		}
		s.Clusters = append(s.Clusters, c)
	}
	return s
}

// Tap implements admin.Sidecar.
func (a *App) Tap(after uint64, f *admin.Filter) admin.TapStatus {
	t := a.accounts.Load().trail
	if t == nil {
		return admin.TapStatus{Last: after, Off: true}
	}
	return t.tap(after, f)
}

// maxTapped is how many requests one look at the trail shows.
const maxTapped = 200

// tap are the exchanges after the one with a serial that pass a filter.
func (t *trail) tap(after uint64, filter *admin.Filter) admin.TapStatus {
	if after > t.next.Load() {
		after = 0 // that was of another trail, of another size
	}
	s := admin.TapStatus{Last: after}
	for i := range t.slots {
		f := &t.slots[i]
		f.mu.Lock()
		if f.serial > after {
			s.Last = max(s.Last, f.serial)
			if one := f.tapped(); filter.Takes(&one) {
				s.Requests = append(s.Requests, one)
			}
		}
		f.mu.Unlock()
	}
	slices.SortFunc(s.Requests, func(a, b admin.Tapped) int { return cmp.Compare(a.Serial, b.Serial) })
	if more := len(s.Requests) - maxTapped; more > 0 {
		s.Requests, s.Missed = s.Requests[more:], more
	}
	return s
}

func (f *footprint) tapped() admin.Tapped {
	return admin.Tapped{
		Serial: f.serial, At: f.at.Add(-f.took), ID: string(f.id), Method: string(f.method), Path: string(f.path),
		Cluster: f.cluster, Backend: f.backend, Status: f.status, End: f.end,
		Rule: f.rule, Outcome: f.outcome, Version: f.version, Took: millis(f.took), Attempts: f.tries,
	}
}

// pace is how long the backends took for the exchanges that are remembered.
func (t *trail) pace() []admin.BackendTraffic {
	all := []admin.BackendTraffic{}
	if t == nil {
		return all
	}
	type key struct{ cluster, address string }
	took := make(map[key][]time.Duration)
	for i := range t.slots {
		f := &t.slots[i]
		f.mu.Lock()
		if f.address != "" && f.fault == nil && f.status != http.StatusSwitchingProtocols {
			k := key{f.cluster, f.address}
			took[k] = append(took[k], f.took)
		}
		f.mu.Unlock()
	}
	for k, times := range took {
		slices.Sort(times)
		at := func(share float64) float64 { return millis(times[int(share*float64(len(times)-1)+.5)]) }
		all = append(all, admin.BackendTraffic{Cluster: k.cluster, Address: k.address, Requests: len(times), P50: at(.5), P99: at(.99)})
	}
	slices.SortFunc(all, func(a, b admin.BackendTraffic) int {
		return cmp.Or(cmp.Compare(a.Cluster, b.Cluster), cmp.Compare(a.Address, b.Address))
	})
	return all
}
