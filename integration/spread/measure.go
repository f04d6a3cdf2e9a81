package main

import (
	"context"
	"slices"
	"syscall"
	"time"
)

// death is what one death of the victim showed.
type death struct {
	toFirst, toAll time.Duration   // since it died
	behind         []time.Duration // of each sidecar, behind the first that turned away; the first is 0
	packets, bytes float64         // for each sidecar, above what it sends anyway
}

// die kills the victim, waits until all have turned away, and brings it back.
func (f *fleet) die(ctx context.Context, quiet rate) (death, error) {
	before := f.traffic()
	died := time.Now()
	f.victim.die()
	if err := until(ctx, time.Minute, "all have turned away", f.allTurned); err != nil {
		return death{}, err
	}
	d := f.deathAt(died)
	pause(ctx, time.Second) // what is told late belongs to it
	d.packets, d.bytes = f.above(before, quiet)
	if err := f.victim.revive(); err != nil {
		return death{}, err
	}
	return d, f.awaitCalm(ctx)
}

func (f *fleet) allTurned() bool {
	return !slices.ContainsFunc(f.sidecars, func(s *sidecar) bool { return s.turnedAt().IsZero() })
}

func (f *fleet) deathAt(died time.Time) death {
	var at []time.Time
	for _, s := range f.sidecars {
		at = append(at, s.turnedAt())
	}
	slices.SortFunc(at, time.Time.Compare)
	d := death{toFirst: at[0].Sub(died), toAll: at[len(at)-1].Sub(died)}
	for _, t := range at {
		d.behind = append(d.behind, t.Sub(at[0]))
	}
	return d
}

// traffic is what was sent up to a time.
type traffic struct {
	at             time.Time
	packets, bytes uint64
}

// rate is what a sidecar sends each second.
type rate struct{ packets, bytes float64 }

func (f *fleet) traffic() traffic {
	return traffic{time.Now(), f.meter.packets.Load(), f.meter.bytes.Load()}
}

func (f *fleet) above(before traffic, quiet rate) (packets, bytes float64) {
	now, n := f.traffic(), float64(len(f.sidecars))
	span := now.at.Sub(before.at).Seconds()
	packets = float64(now.packets-before.packets)/n - quiet.packets*span
	bytes = float64(now.bytes-before.bytes)/n - quiet.bytes*span
	return packets, bytes
}

// idle measures what a fleet sends while nothing happens, and the CPU time that this
// process uses meanwhile, for each sidecar and second.
func (f *fleet) idle(ctx context.Context, span time.Duration) (quiet rate, cpu time.Duration) {
	before, used := f.traffic(), processTime()
	select {
	case <-time.After(span):
	case <-ctx.Done():
	}
	seconds := time.Since(before.at).Seconds()
	quiet.packets, quiet.bytes = f.above(before, rate{})
	quiet.packets, quiet.bytes = quiet.packets/seconds, quiet.bytes/seconds
	return quiet, time.Duration(float64(processTime()-used) / seconds / float64(len(f.sidecars)))
}

func processTime() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// catchUp cuts the last sidecar off, lets the victim die meanwhile, and measures how
// long after the heal it has heard of that from its peers.
func (f *fleet) catchUp(ctx context.Context, cut time.Duration) (time.Duration, error) {
	last := f.sidecars[len(f.sidecars)-1]
	f.network.isolate(last.host, true)
	f.victim.die()
	select {
	case <-time.After(cut):
	case <-ctx.Done():
	}
	f.network.isolate(last.host, false)
	healed := time.Now()
	if err := until(ctx, time.Minute, "who was cut off has caught up", func() bool { return last.holds(f.victim) }); err != nil {
		return 0, err
	}
	took := time.Since(healed)
	if err := f.victim.revive(); err != nil {
		return 0, err
	}
	return took, f.awaitCalm(ctx)
}
