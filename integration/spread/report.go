package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// series are the deaths that one fleet has seen.
type series struct {
	size   int
	loss   float64
	real   bool // UDP and TCP on loopback
	deaths []death
	quiet  rate
	late   bool // the machine was too busy for so many sidecars: not all deaths were measured
}

// upkeep is what a fleet costs while nothing happens, and how it comes together.
type upkeep struct {
	size          int
	quiet         rate
	cpu           time.Duration // of the gossip alone
	joined        time.Duration
	short, longer time.Duration // to catch up after a cut of so long; 0: not measured
	late          bool          // the machine was too busy for so many sidecars
}

const (
	shortCut  = 3 * time.Second
	longerCut = 20 * time.Second
	delay     = 500 * time.Microsecond // one way
	idleSpan  = 20 * time.Second
)

type report struct {
	spreads []series
	upkeep  []upkeep
}

// rounds is how many deaths are measured with so many sidecars.
func rounds(o options, size int) int { return max(min(5, o.rounds), o.rounds*3/(size+2)) }

func measure(ctx context.Context, o options, progress io.Writer) (*report, error) {
	r := &report{}
	for _, size := range o.sizes {
		u, err := keepUp(ctx, size, progress)
		if err != nil && (!errors.Is(err, errLate) || ctx.Err() != nil) {
			return nil, fmt.Errorf("%d sidecars at rest: %w", size, err)
		}
		if u.late = err != nil; u.late {
			fmt.Fprintf(progress, "%d sidecars at rest: %v\n", size, err)
		}
		r.upkeep = append(r.upkeep, u)
		for _, s := range []series{{size: size}, {size: size, loss: 0.25}, {size: size, real: true}} {
			err := s.run(ctx, rounds(o, size), progress)
			if err != nil && (!errors.Is(err, errLate) || ctx.Err() != nil) {
				return nil, fmt.Errorf("%s: %w", s.title(), err)
			}
			if s.late = err != nil; s.late {
				fmt.Fprintf(progress, "%s: %v\n", s.title(), err)
			}
			r.spreads = append(r.spreads, s)
		}
	}
	return r, nil
}

// keepUp measures a fleet at rest, beside one without gossip.
func keepUp(ctx context.Context, size int, progress io.Writer) (upkeep, error) {
	u := upkeep{size: size}
	fmt.Fprintf(progress, "%d sidecars at rest\n", size)
	defer debug.SetGCPercent(debug.SetGCPercent(gcAtRest))
	silent, err := newFleet(ctx, plan{size: size})
	if err != nil {
		return u, err
	}
	_, without := silent.idle(ctx, idleSpan)
	silent.stop()
	f, err := newFleet(ctx, plan{size: size, network: newNetwork(delay, 0), gossip: true})
	if err != nil {
		return u, err
	}
	defer f.stop()
	u.joined = f.joined
	pause(ctx, 5*time.Second) // who joined is told of for a while
	var with time.Duration
	u.quiet, with = f.idle(ctx, idleSpan)
	u.cpu = with - without
	if u.short, err = f.catchUp(ctx, shortCut); err == nil {
		u.longer, err = f.catchUp(ctx, longerCut)
	}
	return u, err
}

func (s *series) run(ctx context.Context, n int, progress io.Writer) error {
	defer debug.SetGCPercent(debug.SetGCPercent(gcInHaste))
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(lotOfHeap))
	p := plan{size: s.size, gossip: true}
	if !s.real {
		p.network = newNetwork(delay, s.loss)
	}
	f, err := newFleet(ctx, p)
	if err != nil {
		return err
	}
	defer f.stop()
	fmt.Fprintf(progress, "%s: %d deaths ", s.title(), n)
	pause(ctx, 3*time.Second)
	s.quiet, _ = f.idle(ctx, 3*time.Second)
	for range n {
		fmt.Fprint(progress, ".")
		d, err := f.die(ctx, s.quiet)
		if err != nil {
			return err
		}
		s.deaths = append(s.deaths, d)
		pause(ctx, 1200*time.Millisecond) // the least between two claims about one backend, and some
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	fmt.Fprintln(progress)
	return nil
}

func (s *series) title() string {
	if s.real {
		return fmt.Sprintf("%d sidecars, UDP on loopback", s.size)
	}
	return fmt.Sprintf("%d sidecars, %d %% of packets lost", s.size, int(100*s.loss))
}

// behind is the p-th part of the sidecars behind the first, of each death the part;
// of these the median. For 1 it is the last one.
func (s *series) behind(p float64) time.Duration {
	var all []time.Duration
	for _, d := range s.deaths {
		all = append(all, quantile(d.behind, p))
	}
	return quantile(all, 0.5)
}

// pooled is a quantile over every sidecar of every death.
func (s *series) pooled(p float64) time.Duration {
	var all []time.Duration
	for _, d := range s.deaths {
		all = append(all, d.behind...)
	}
	return quantile(all, p)
}

func (s *series) toAll(p float64) time.Duration {
	var all []time.Duration
	for _, d := range s.deaths {
		all = append(all, d.toAll)
	}
	return quantile(all, p)
}

func (s *series) cost() (packets, bytes float64) {
	for _, d := range s.deaths {
		packets += d.packets / float64(len(s.deaths))
		bytes += d.bytes / float64(len(s.deaths))
	}
	return max(packets, 0), max(bytes, 0)
}

// quantile is the least value that a part p of all do not exceed.
func quantile(all []time.Duration, p float64) time.Duration {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	return sorted[min(len(sorted)-1, max(0, int(p*float64(len(sorted))+0.999999)-1))]
}

func ms(d time.Duration) string {
	if d < 10*time.Millisecond {
		return fmt.Sprintf("%.1f", float64(d.Microseconds())/1000)
	}
	return fmt.Sprint(d.Round(time.Millisecond).Milliseconds())
}

// markdown is the report as it stands in the documentation.
func (r *report) markdown(machine string) string {
	var text strings.Builder
	fmt.Fprintf(&text, `%s; %s. Whole sidecars in one process, each of which checks two backends every second (fall 2).
The garbage collector runs less often than by default: at rest at a growth of %d %%, while deaths are measured at 3 GB. Packets take %v one way, or go over UDP on loopback. What they send counts by packets, streams by their bytes alone.

From the first sidecar that turns away from a dead backend to the others, in ms (over every sidecar of every death), and from the death to all:

| sidecars | network | deaths | 50 %% | 99 %% | aimed at | all, median | all, worst | dead to all, median | 99 %% | packets each | bytes each |
|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|
`, machine, time.Now().Format(time.DateOnly), gcAtRest, delay)
	for i := range r.spreads {
		s := &r.spreads[i]
		network := "no loss"
		if s.loss > 0 {
			network = fmt.Sprintf("%d %% lost", int(100*s.loss))
		}
		packets, bytes := s.cost()
		cost := fmt.Sprintf("%.0f | %.0f", packets, bytes)
		if s.real {
			network = "loopback"
		}
		if s.late {
			network += " (given up: too much for this machine)"
		}
		fmt.Fprintf(&text, "| %d | %s | %d | %s | %s | %s | %s | %s | %s | %s | %s |\n", s.size, network, len(s.deaths),
			ms(s.pooled(0.5)), ms(s.pooled(0.99)), s.aim(), ms(s.behind(1)), ms(s.pooled(1)), ms(s.toAll(0.5)), ms(s.toAll(0.99)), cost)
	}
	fmt.Fprintf(&text, `
While nothing happens, for each sidecar; and how they come together:

| sidecars | packets/s | bytes/s | CPU of gossip, ms/s | the last %d joined after | caught up after a cut of %v | of %v |
|---:|---:|---:|---:|---:|---:|---:|
`, startAtOnce, shortCut, longerCut)
	for _, u := range r.upkeep {
		if u.late {
			fmt.Fprintf(&text, "| %d | given up: too much for this machine | | | | | |\n", u.size)
			continue
		}
		fmt.Fprintf(&text, "| %d | %.1f | %.0f | %.2f | %.1f s | %.1f s | %.1f s |\n", u.size, u.quiet.packets, u.quiet.bytes,
			float64(u.cpu.Microseconds())/1000, u.joined.Seconds(), u.short.Seconds(), u.longer.Seconds())
	}
	if missed := r.missed(); len(missed) > 0 {
		fmt.Fprintf(&text, "\nMissed: %s.\n", strings.Join(missed, "; "))
	}
	return text.String()
}

// aim is what the design wants of a fleet; 0: nothing.
type aim struct {
	half, most time.Duration // behind the first: of 50 and of 99 %
	lossy      time.Duration // of 99 % with a quarter of the packets lost
	bytes      float64       // a second, for each sidecar at rest
}

func aimOf(size int) aim {
	switch size {
	case 3:
		return aim{half: 3 * time.Millisecond, most: 20 * time.Millisecond, lossy: 100 * time.Millisecond}
	case 50:
		return aim{half: 15 * time.Millisecond, most: 100 * time.Millisecond, lossy: 150 * time.Millisecond, bytes: 1000}
	case 200:
		return aim{half: 40 * time.Millisecond, most: 150 * time.Millisecond, lossy: 250 * time.Millisecond, bytes: 2000}
	}
	return aim{}
}

const cpuAim = 1500 * time.Microsecond // a second

func (s *series) aim() string {
	switch a := aimOf(s.size); {
	case a == aim{}:
		return ""
	case s.loss > 0:
		return "99 %: " + ms(a.lossy)
	default:
		return ms(a.half) + ", " + ms(a.most)
	}
}

// missed are the aims that were not reached.
func (r *report) missed() []string {
	var all []string
	check := func(title, what string, got, aim float64) {
		if aim > 0 && got > aim {
			all = append(all, fmt.Sprintf("%s, %s: %.4g instead of %.4g", title, what, got, aim))
		}
	}
	inMs := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	for i := range r.spreads {
		s, a := &r.spreads[i], aimOf(r.spreads[i].size)
		if s.loss > 0 {
			check(s.title(), "99 % in ms", inMs(s.pooled(0.99)), inMs(a.lossy))
			continue
		}
		check(s.title(), "50 % in ms", inMs(s.pooled(0.5)), inMs(a.half))
		check(s.title(), "99 % in ms", inMs(s.pooled(0.99)), inMs(a.most))
	}
	for _, u := range r.upkeep {
		title := fmt.Sprintf("%d sidecars at rest", u.size)
		check(title, "bytes/s", u.quiet.bytes, aimOf(u.size).bytes)
		check(title, "CPU in ms/s", inMs(u.cpu), inMs(cpuAim))
	}
	return all
}

const (
	beginMark = "<!-- measured: begin -->\n"
	endMark   = "<!-- measured: end -->\n"
)

// keep replaces what stands between the marks of a file, and draws the plot beside it.
func (r *report) keep(file, text string) error {
	was, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	head, rest, begins := strings.Cut(string(was), beginMark)
	_, tail, ends := strings.Cut(rest, endMark)
	if !begins || !ends {
		return fmt.Errorf("%s has no part between %q and %q", file, strings.TrimSpace(beginMark), strings.TrimSpace(endMark))
	}
	plot := filepath.Join(filepath.Dir(file), "spread.svg")
	if err := r.draw(plot); err != nil {
		return err
	}
	whole := head + beginMark + "![Sidecars that have turned away, by the time since the first did](spread.svg)\n\n" + text + endMark + tail
	return os.WriteFile(file, []byte(whole), 0o644)
}

// describeMachine is where the figures come from, and of which version.
func describeMachine() string {
	model := runtime.GOARCH
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	commit := "unknown"
	if name, err := exec.Command("git", "describe", "--always", "--dirty").Output(); err == nil {
		commit = strings.TrimSpace(string(name))
	}
	return fmt.Sprintf("%d cores of %s, %s, commit %s", runtime.NumCPU(), model, runtime.Version(), commit)
}
