package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"
)

const (
	bodyBytes = 128
	target    = "/one/bench" // what wrk asks for

	// warmup fills the proxy's pool of upstream connections, and its caches, before a measurement.
	warmup = time.Second

	// slack is what a turn may take on top of its load.
	slack = 30 * time.Second
)

// bench measures contenders in turns, one at a time.
type bench struct {
	options
	dir      string // for configurations, logs and programs
	progress io.Writer
	proc     procfs
	machine  machine
	layout   layout
	root     string // the module's folder

	wrk, wrkVersion string
	backendProgram  string
	backend         *backend // while run runs
	entries         []entry
}

// entry is a contender with its program at hand.
type entry struct {
	contender
	path    string
	version string
}

// measurement is one contender in one round.
type measurement struct {
	cpu      float64 // microseconds per request, of all threads of all its processes
	rate     float64 // requests per second
	p50, p99 time.Duration
	resident int64   // bytes, right after the load
	busy     float64 // share of its cores' time that it used
}

// results are the measurements of each contender, in the order of the entries; one per round.
type results [][]measurement

// prepare builds and finds every program, so that what is missing shows before anything is measured.
func prepare(ctx context.Context, o options, dir string, progress io.Writer) (*bench, error) {
	b := &bench{options: o, dir: dir, progress: progress, proc: "/proc"}
	if err := missing(b.needed()); err != nil {
		return nil, err
	}
	var err error
	if b.machine, err = thisMachine(b.proc); err != nil {
		return nil, err
	}
	b.layout = divide(b.machine.cores, o.workers)
	shop, err := newWorkshop(ctx, dir)
	if err != nil {
		return nil, err
	}
	b.root = shop.root
	b.say("building the backend and the contenders")
	if b.backendProgram, err = shop.backend(ctx); err != nil {
		return nil, err
	}
	wrk := program{name: "wrk", version: []string{"-v"}}
	if b.wrk, b.wrkVersion, err = shop.have(ctx, wrk); err != nil {
		return nil, err
	}
	for _, c := range o.contenders {
		e := entry{contender: c}
		if e.path, e.version, err = shop.have(ctx, c.program); err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		b.entries = append(b.entries, e)
	}
	return b, nil
}

// needed names the programs of the system that this run uses.
func (b *bench) needed() []string {
	names := []string{"cc", "taskset", "wrk"}
	for _, c := range b.contenders {
		if c.program.system() {
			names = append(names, c.program.name)
		}
	}
	return names
}

// run measures every contender once per round: A B C, A B C, ...
func (b *bench) run(ctx context.Context) (results, error) {
	var err error
	if b.backend, err = startBackend(b.backendProgram, bodyBytes, b.layout.load); err != nil {
		return nil, err
	}
	defer b.backend.close()

	all := make(results, len(b.entries))
	for round := range b.rounds {
		for i, e := range b.entries {
			m, err := b.turn(ctx, e)
			if err != nil {
				return nil, fmt.Errorf("%s, round %d: %w", e.name, round+1, err)
			}
			b.say("round %d/%d  %-16s %6.1f us/request  %7.0f requests/s  p99 %v", round+1, b.rounds, e.name, m.cpu, m.rate, m.p99)
			all[i] = append(all[i], m)
		}
	}
	return all, nil
}

// turn starts the contender afresh, checks it, measures it and ends it.
func (b *bench) turn(ctx context.Context, e entry) (m measurement, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, b.duration+warmup+slack, errors.New("it took too long"))
	defer cancel()
	p, err := b.start(e)
	if err != nil {
		return m, err
	}
	defer func() {
		if err = errors.Join(err, p.stop()); err != nil {
			err = fmt.Errorf("%w%s", err, p.lastWords())
		}
	}()
	if err := p.ready(ctx); err != nil {
		return m, err
	}
	if err := b.check(ctx, e, p); err != nil {
		return m, err
	}
	if _, err := b.load(ctx, p, warmup); err != nil {
		return m, fmt.Errorf("warm-up: %w", err)
	}
	return b.measure(ctx, p)
}

// start runs the contender on its cores, on a free port.
func (b *bench) start(e entry) (*proxy, error) {
	listen, err := freeAddress()
	if err != nil {
		return nil, err
	}
	s := site{
		Listen: listen, One: b.backend.one, Two: b.backend.two,
		Workers: b.workers, Connections: max(64, 2*b.connections),
		Dir: filepath.Join(b.dir, e.name+".d"), User: workerUser(),
	}
	if e.script != "" {
		s.Script = filepath.Join(b.root, e.script)
	}
	if err := e.configure(&s); err != nil {
		return nil, err
	}
	p, err := start(launch{
		name: e.name, path: e.path, arguments: e.arguments(s), cores: b.layout.proxy,
		log: filepath.Join(s.Dir, "log"), env: []string{fmt.Sprintf("GOMAXPROCS=%d", b.workers), "XDG_CONFIG_HOME=" + s.Dir}, // Caddy saves its configuration there
	})
	if err != nil {
		return nil, err
	}
	return &proxy{process: p, address: listen}, nil
}

// measure puts the load on the proxy and reads its clocks before and after.
func (b *bench) measure(ctx context.Context, p *proxy) (measurement, error) {
	countBefore, err := b.backend.settled(ctx)
	if err != nil {
		return measurement{}, err
	}
	pids, err := b.proc.tree(p.pid())
	if err != nil {
		return measurement{}, err
	}
	cpuBefore, err := b.proc.usage(pids)
	if err != nil {
		return measurement{}, err
	}
	l, err := b.load(ctx, p, b.duration)
	if err != nil {
		return measurement{}, err
	}
	cpuAfter, err := b.proc.usage(pids)
	if err != nil {
		return measurement{}, err
	}
	resident, err := b.proc.resident(pids)
	if err != nil {
		return measurement{}, err
	}
	countAfter, err := b.backend.settled(ctx)
	if err != nil {
		return measurement{}, err
	}
	if err := agree(l, countAfter.since(countBefore), b.connections); err != nil {
		return measurement{}, err
	}
	cpu := cpuAfter.since(cpuBefore)
	return measurement{
		cpu:  float64(cpu) / float64(time.Microsecond) / float64(l.requests),
		rate: l.rate, p50: l.p50, p99: l.p99,
		resident: resident,
		busy:     float64(cpu) / float64(l.took) / float64(b.workers),
	}, nil
}

func (b *bench) load(ctx context.Context, p *proxy, d time.Duration) (load, error) {
	return shoot(ctx, b.wrk, aim{
		url: "http://" + p.address + target, duration: d, connections: b.connections,
		cores: b.layout.load, threads: min(b.workers, len(b.layout.load)),
	})
}

func (b *bench) say(format string, values ...any) {
	fmt.Fprintf(b.progress, "bench: "+format+"\n", values...)
}
