package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	target     = "/one/bench" // what the load asks for
	echoTarget = "/one/echo"  // where the backend speaks WebSocket

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
	shop     workshop

	wrk, wrkVersion string
	backendProgram  string
	callee          string // the backend of calls
	certificate     certificate

	scenario // what is measured now
	layout   layout
	entries  []entry
	backend  *backend
	pace     float64 // requests per second; set by the scenario that has one
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
	p999     time.Duration // 0: not known
	resident int64         // bytes, right after the load
	busy     float64       // share of its cores' time that it used

	connections   int     // that rested; 0: not asked
	perConnection float64 // bytes that one of them adds
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
	shop, err := newWorkshop(ctx, dir)
	if err != nil {
		return nil, err
	}
	b.say("building the backend and the contenders")
	if b.backendProgram, err = shop.backend(ctx); err != nil {
		return nil, err
	}
	wrk := program{name: "wrk", version: []string{"-v"}}
	if b.wrk, b.wrkVersion, err = shop.have(ctx, wrk); err != nil {
		return nil, err
	}
	for _, name := range []string{"pace", "echo"} {
		if _, err := shop.path(ctx, program{name: name, source: name + "/" + name + ".c"}); err != nil {
			return nil, err
		}
	}
	if _, err := shop.path(ctx, program{name: "shake", pkg: "outrider/integration/bench/shake"}); err != nil {
		return nil, err
	}
	if b.callee, err = shop.path(ctx, program{name: "unary", pkg: "outrider/integration/bench/unary"}); err != nil {
		return nil, err
	}
	if b.certificate, err = newCertificate(dir); err != nil {
		return nil, err
	}
	for _, s := range o.scenarios {
		for _, c := range s.contenders {
			if _, _, err := shop.have(ctx, c.program); err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
		}
	}
	b.shop = shop
	return b, nil
}

// on is a bench that is set up for one scenario.
func (b *bench) on(ctx context.Context, s scenario) (*bench, error) {
	stage := *b
	stage.scenario = s
	stage.layout = divide(b.machine.cores, s.workers)
	for _, c := range s.contenders {
		e := entry{contender: c}
		var err error
		if e.path, e.version, err = b.shop.have(ctx, c.program); err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		stage.entries = append(stage.entries, e)
	}
	return &stage, nil
}

// needed names the programs of the system that this run uses.
func (b *bench) needed() []string {
	names := []string{"cc", "taskset", "wrk"}
	for _, s := range b.scenarios {
		for _, c := range s.contenders {
			if c.program.system() && !slices.Contains(names, c.program.name) {
				names = append(names, c.program.name)
			}
		}
	}
	return names
}

// run measures every contender once per round: A B C, A B C, ...
func (b *bench) run(ctx context.Context) (results, error) {
	var err error
	program := b.backendProgram
	if b.calls {
		program = b.callee
	}
	if b.backend, err = startBackend(program, b.bodyBytes, b.emptyLines(), b.layout.load); err != nil {
		return nil, err
	}
	defer b.backend.close()

	all := make(results, len(b.entries))
	for round := range b.rounds {
		if b.before != nil {
			if err := b.before(b, ctx); err != nil {
				return nil, fmt.Errorf("before round %d: %w", round+1, err)
			}
		}
		for i, e := range b.entries {
			var m measurement
			err := b.turn(ctx, e, func(p *proxy) (err error) {
				m, err = b.measure(b, ctx, p)
				return err
			})
			if err != nil {
				return nil, fmt.Errorf("%s, round %d: %w", e.name, round+1, err)
			}
			b.say("%s  round %d/%d  %-18s "+b.view.format+" %s", b.scenario.name, round+1, b.rounds, e.name, b.view.figure(m), b.view.title)
			all[i] = append(all[i], m)
		}
	}
	return all, nil
}

// turn starts the contender afresh, checks it, warms it up, does what it is started for and ends it.
func (b *bench) turn(ctx context.Context, e entry, do func(*proxy) error) (err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, b.duration+warmup+slack, errors.New("it took too long"))
	defer cancel()
	p, err := b.start(e)
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, p.stop()); err != nil {
			err = fmt.Errorf("%w%s", err, p.lastWords())
		}
	}()
	if err := p.ready(ctx); err != nil {
		return err
	}
	if err := b.check(ctx, e, p); err != nil {
		return err
	}
	if _, err := b.load(ctx, p, warmup); err != nil {
		return fmt.Errorf("warm-up: %w", err)
	}
	return do(p)
}

// start runs the contender on its cores, on a free port.
func (b *bench) start(e entry) (*proxy, error) {
	listen, err := freeAddress()
	if err != nil {
		return nil, err
	}
	s := site{
		Listen: listen, One: b.backend.one, Two: b.backend.two,
		Workers: b.workers, Connections: max(64, 8*b.connections), Clients: b.clients,
		Unbuffered: b.unbuffered, Upgrades: b.upgrades, Streams: b.streams, Calls: b.calls, variant: e.variant,
		Dir: filepath.Join(b.dir, e.name+".d"), User: workerUser(),
	}
	if b.encrypted {
		s.TLS = &b.certificate
	}
	if e.script != "" {
		s.Script = filepath.Join(b.shop.root, e.script)
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

// saturate asks as fast as answers come.
func (b *bench) saturate(ctx context.Context, p *proxy) (measurement, error) {
	return b.meter(ctx, p, func() (load, error) { return b.load(ctx, p, b.duration) })
}

// meter reads the proxy's clocks, and the backend's counters, before and after a load.
func (b *bench) meter(ctx context.Context, p *proxy, shoot func() (load, error)) (measurement, error) {
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
	l, err := shoot()
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
	if err := agree(l, countAfter.since(countBefore), b.scenario.connections); err != nil {
		return measurement{}, err
	}
	cpu := cpuAfter.since(cpuBefore)
	return measurement{
		cpu:  float64(cpu) / float64(time.Microsecond) / float64(l.requests),
		rate: l.rate, p50: l.p50, p99: l.p99, p999: l.p999,
		resident: resident,
		busy:     float64(cpu) / float64(l.took) / float64(b.workers),
	}, nil
}

func (b *bench) load(ctx context.Context, p *proxy, d time.Duration) (load, error) {
	script, err := b.uploadScript()
	if err != nil {
		return load{}, err
	}
	return shoot(ctx, b.wrk, aim{
		url: b.url(p, target), duration: d, connections: b.connections,
		cores: b.layout.load, threads: min(b.workers, b.connections, len(b.layout.load)),
		script: script, fresh: b.fresh,
	})
}

// emptyLines says with how many a request ends: one after its head, and another one at the end of its body.
func (b *bench) emptyLines() int {
	if b.uploadBytes > 0 {
		return 2
	}
	return 1
}

// upload is what each request carries. Its end is an empty line: the backend looks for nothing else.
func (b *bench) upload() string {
	const end = "\r\n\r\n"
	if b.uploadBytes == 0 {
		return ""
	}
	return strings.Repeat(".", b.uploadBytes-len(end)) + end
}

// uploadScript writes the program that makes wrk send bodies; without bodies its name is empty.
func (b *bench) uploadScript() (string, error) {
	if b.uploadBytes == 0 {
		return "", nil
	}
	file := filepath.Join(b.dir, "upload.lua")
	text := fmt.Sprintf("wrk.method = 'POST'\nwrk.body = string.rep('.', %d) .. '\\r\\n\\r\\n'\n", b.uploadBytes-4)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		return "", fmt.Errorf("write wrk's script: %w", err)
	}
	return file, nil
}

func (b *bench) say(format string, values ...any) {
	fmt.Fprintf(b.progress, "bench: "+format+"\n", values...)
}
