package config

import "time"

// root is the table of all keys, bound to the Config that it fills. Reading, hints,
// the JSON Schema and REFERENCE.md all come from here.
func root(c *Config) section {
	return section{keys: []key{
		{name: "name", value: text(&c.Name, "name", "a name such as web-1", namePattern, checkName),
			doc: "What this sidecar is called. Default: the host's name."},
		{name: "app", value: text(&c.App, "host:port", "an address such as 127.0.0.1:8080", "", checkApp),
			doc: "The app that this sidecar stands beside; it becomes the cluster `app`. Empty: none."},
		{name: "listen", value: listeners{into: &c.Listen}, def: ":6188",
			doc: "Where requests come in: one address, or a list of listeners."},
		{name: "default_cluster", value: clusterName(&c.DefaultCluster),
			doc: "Where a request goes when the script returns nothing. Default: the only cluster where there is one; `two` with the built-in rule; else none (404)."},
		{name: "state_dir", value: text(&c.StateDir, "path", "a path", "", nil),
			doc: "A directory of this sidecar's own, in which the last good script is kept, to be used at the next start should the files hold none that works. Empty: nothing is kept."},
		{name: "script", value: script(&c.Script), doc: "The routing script."},
		{name: "clusters", value: clusters{into: &c.Clusters}, doc: "Named groups of backends."},
		{name: "gossip", value: gossip{into: &c.Gossip},
			doc: "Sidecars that tell each other about health. Leave the section out: no peers, no socket. Written at all, even with nothing in it, it is on."},
		{name: "trusted_proxies", value: networks{into: &c.TrustedProxies, peers: &c.TrustPeers},
			doc: "Clients whose X-Forwarded-For, and whose PROXY protocol header, is believed: networks, addresses, `private` (loopback, link-local and the private ranges of IPv4 and IPv6), or `peers` (the addresses of the sidecars that gossip knows)."},
		{name: "ambiguous_paths", value: choice(&c.AmbiguousPaths, []AmbiguousPaths{AmbiguousPathsPass, AmbiguousPathsRefuse}), def: "pass",
			doc: "`refuse` answers 400 for paths that two parsers could read differently: dot segments, doubled slashes, an encoded slash, dot or backslash."},
		{name: "limits", value: limits(&c.Limits), doc: "What clients may use up."},
		{name: "status", value: status(&c.Status), doc: "The listener for probes and Prometheus: GET /livez, /readyz and /metrics, no token, nothing else."},
		{name: "admin", value: admin(&c.Admin), doc: "The listener of the admin API and of the dashboard."},
		{name: "log", value: logging(&c.Log), doc: "What is logged and how."},
		{name: "shutdown", value: shutdown(&c.Shutdown), doc: "How the sidecar stops; keep drain and grace together below the stop timeout of whoever stops it. It leaves as soon as it is idle."},
		{name: "dev", value: yesNo(&c.Dev), def: "false",
			doc: "Every answer tells how long its steps took (Server-Timing), and X-Outrider-Explain needs no token. For development only."},
	}}
}

func script(s *Script) section {
	return section{short: "; write script: { file: scripts/route.js }", keys: []key{
		{name: "file", value: text(&s.File, "path", "a path such as scripts/route.js", "", checkScriptName),
			doc: "The JavaScript or TypeScript file that defines route(req); it may import others. Empty: the built-in rule, /one/ to `one` and everything else to `two`."},
		{name: "timeout", value: duration(&s.Timeout, time.Millisecond, 10*time.Second), def: "100ms",
			doc: "How long one call may take; then on_error decides."},
		{name: "on_error", value: text(&s.OnError, "fail or a cluster", "fail or a cluster's name", clusterPattern, checkClusterName),
			doc: "What happens when the script fails: `fail` answers 500, a cluster's name sends the request there. Default: default_cluster where that is written, else `fail`."},
		{name: "tests", value: paths(&s.Tests, "a path such as scripts/route.test.yaml"),
			doc: "Tests that the script must pass, tables of cases (.yaml) or JavaScript (.js), for `outrider test` and `outrider validate`: one path, or a list. Default: none."},
		{name: "data", value: text(&s.Data, "path", "a path such as scripts/data.json", "", checkNotEmpty),
			doc: "A JSON file that the script sees as ctx.data; watched as the script itself is. Empty: none."},
		{name: "env", value: list[string]{into: &s.Env, kind: "list of variables", item: func(s *string) value {
			return text(s, "name", "the name of an environment variable", variablePattern, checkVariable)
		}}, doc: "The environment variables that the script sees as ctx.env; no others."},
		{name: "max_moved", value: percent(&s.MaxMoved, 100), def: "100%",
			doc: "A new version that sends more than this share of the recorded requests elsewhere is refused."},
		{name: "rollback", value: rollback(&s.Rollback),
			doc: "When a new version, on probation for its first 1,000 calls, is taken back by itself. Meanwhile the version before decides what the new one fails on."},
		{name: "shadow", value: shadow(&s.Shadow),
			doc: "A script that is asked beside the active one, and decides nothing: the log and /status tell where it would send requests."},
		{name: "record", value: number(&s.Record, 0, 1_000_000), def: "1000",
			doc: "How many of the last decisions are kept, with what the script read for them, to explain them, and to tell what a new version changes. 0 keeps none."},
		{name: "allow", value: allow(&s.Allow), doc: "What a script may do that is refused otherwise."},
	}}
}

func shadow(s *Shadow) section {
	return section{short: "; write shadow: { file: scripts/next.js }", keys: []key{
		{name: "file", value: text(&s.File, "path", "a path such as scripts/next.js", "", checkScriptName),
			doc: "Its file, watched as that of the script. Empty: none."},
		{name: "sample", value: percent(&s.Sample, 100), def: "10%",
			doc: "The share of the requests on which it is asked."},
	}}
}

func allow(a *Allow) section {
	return section{keys: []key{
		{name: "imports", value: paths(&a.Imports, "a path such as ../lib"),
			doc: "Directories outside the script's own from which it may import."},
		{name: "backtracking", value: yesNo(&a.Backtracking), def: "false",
			doc: "Regular expressions that need backtracking: lookaround, back-references. A hostile request can make them slow."},
	}}
}

func rollback(r *Rollback) section {
	return section{short: "; write rollback: { error_rate: 1% }", keys: []key{
		{name: "error_rate", value: percent(&r.ErrorRate, 100), def: "1%",
			doc: "The share of failed calls, also more than twice that of the version before, above which a version is taken back. 100%: never."},
		{name: "min_errors", value: number(&r.MinErrors, 1, 1_000_000), def: "5",
			doc: "So many failed calls, not all of one client, are needed; or three past their deadline."},
		{name: "window", value: duration(&r.Window, time.Second, 24*time.Hour), def: "30s",
			doc: "The least time that a version is on probation."},
	}}
}

func cluster(c *Cluster) section {
	return section{short: `; write { backends: ["host:port"] }`, keys: []key{
		{name: "backends", value: list[Backend]{into: &c.Backends, kind: "list of backends", item: func(b *Backend) value { return backend{into: b} }},
			doc: "The servers: host:port, http(s)://host[:port], or { address, weight }. Required, except for `app`."},
		{name: "resolve", value: resolve(&c.Resolve), doc: "How names of backends become addresses."},
		{name: "balance", value: choice(&c.Balance, []Balance{BalanceRoundRobin, BalanceLeastRequests, BalanceRandomTwo, BalanceHash}), def: "round_robin",
			doc: "Who gets a request, all by weight: `round_robin` the one whose turn it is, `least_requests` that one or a less busy one, `random_two` the less busy of two drawn at random, `hash` always the same one for the same `hash_key`. [When to use which](../cluster/README.md)."},
		{name: "hash_key", value: hashKey(&c.HashKey), def: "client",
			doc: "With `balance: hash`, what requests to the same backend have in common: the `client`'s address, `header:NAME` or `cookie:NAME`; requests without it take turns. The `hashKey` of a script goes before."},
		{name: "slow_start", value: duration(&c.SlowStart, 0, time.Hour), def: "0",
			doc: "In which a backend that joins, or comes back, gets its share of the requests, beginning with a twentieth."},
		{name: "check", value: check(&c.Check), doc: "The health check of the backends."},
		{name: "passive", value: passive{into: &c.Passive}, def: "on",
			doc: "When failed requests alone take a backend out, whatever checks say: `on` for the defaults, `off`, or a section."},
		{name: "timeouts", value: timeouts(&c.Timeouts), doc: "Bounds on the steps of an exchange with a backend."},
		{name: "retries", value: number(&c.Retries, 0, 10), def: "2",
			doc: "Extra tries, at most 20% of the requests of the last 10 s or 3 a second; never on the same backend while another is left, and never when the request may have been processed."},
		{name: "host", value: text(&c.Host, "pass or a host", "pass or a host name", "", checkClusterHost),
			doc: "The Host field sent to backends: `pass` sends the client's. Default: tls.server_name with TLS, else `pass`."},
		{name: "max_in_flight", value: number(&c.InFlight, 1, 1_000_000), def: "1024",
			doc: "Requests to one backend at a time; a WebSocket is one until it ends. Full ones are passed over; all full: 503."},
		{name: "on_all_down", value: choice(&c.OnAllDown, []OnAllDown{OnAllDownFail, OnAllDownTry}), def: "fail",
			doc: "Without a usable backend: `fail` answers 503, `try` sends anyway."},
		{name: "protocol", value: choice(&c.Protocol, []Protocol{ProtocolAuto, ProtocolH1, ProtocolH2, ProtocolH2C}), def: "auto",
			doc: "HTTP version spoken to backends: HTTP/1.1, HTTP/2 over TLS or in cleartext (gRPC needs one of those), or with `auto` what the backend chooses in the TLS handshake, and HTTP/1.1 without TLS."},
		{name: "send_proxy", value: choice(&c.SendProxy, []SendProxy{SendProxyOff, SendProxyV1, SendProxyV2}), def: "off",
			doc: "Connections to backends begin with a PROXY protocol header of this version, `v1` or `v2`, which tells the address of the client's connection; checks say that they are the sidecar's own. A connection then serves one client's connection alone."},
		{name: "tls", value: encryption{into: &c.TLS},
			doc: "TLS to the backends: `true`, `false`, or a section. Default: on for https:// backends, else off."},
	}}
}

func resolve(r *Resolve) section {
	return section{keys: []key{
		{name: "interval", value: duration(&r.Interval, 100*time.Millisecond, time.Hour), def: "5s",
			doc: "How often names are looked up again; also done after a failed connect."},
		{name: "family", value: choice(&r.Family, []Family{FamilyAuto, FamilyIPv4, FamilyIPv6}), def: "auto",
			doc: "Which addresses are used; `auto` takes IPv4 where a name has both."},
	}}
}

func check(c *Check) section {
	return section{short: "; write check: { type: off }, or another type", keys: []key{
		{name: "type", value: choice(&c.Type, []CheckType{CheckTCP, CheckTLS, CheckHTTP, CheckGRPC, CheckOff}, "exec"), def: "tcp",
			doc: "What is tested: a connection, a TLS handshake, an HTTP request (over TLS where the cluster has it, in HTTP/2 with protocol h2 and h2c), what grpc.health.v1 says, or nothing."},
		{name: "interval", value: duration(&c.Interval, 10*time.Millisecond, time.Hour), def: "1s",
			doc: "Time between two checks of a backend. A first failure is checked again within 100 ms."},
		{name: "timeout", value: duration(&c.Timeout, time.Millisecond, 10*time.Minute), def: "1s",
			doc: "How long one check may take."},
		{name: "rise", value: number(&c.Rise, 1, 100), def: "1",
			doc: "Good checks in a row that bring a backend back."},
		{name: "fall", value: number(&c.Fall, 1, 100), def: "2",
			doc: "Bad checks, or failed connections of real requests, in a row that take a backend out."},
		{name: "jitter", value: percent(&c.Jitter, 50), def: "10%",
			doc: "By how much of the interval checks vary, so that they do not march in step."},
		{name: "send", value: text(&c.Send, "text", "text", "", nil),
			doc: "tcp: bytes sent after connecting; escapes such as \\r\\n work in double quotes."},
		{name: "expect", value: text(&c.Expect, "text", "text", "", nil),
			doc: "tcp: bytes that the answer must contain."},
		{name: "path", value: text(&c.Path, "path", "a path such as /healthz", "^/", checkPath), def: "/",
			doc: "http: path and query that are asked for with GET."},
		{name: "host", value: text(&c.Host, "host", "a host name", "", checkCheckHost),
			doc: "http: the Host field. Default: the cluster's host, else the backend's address."},
		{name: "headers", value: headers{into: &c.Headers},
			doc: "http: further header fields, name: value."},
		{name: "status", value: statusRanges(&c.Status), def: "200-399",
			doc: "http: what counts as healthy: codes and ranges separated by commas, such as 200,204,300-399."},
		{name: "body", value: text(&c.Body, "text", "text", "", nil),
			doc: "http: text that the body must contain."},
		{name: "service", value: text(&c.Service, "service", "a service such as shop.v1.Cart", "", checkService),
			doc: "grpc: the service that has to serve; empty asks for the server as a whole."},
	}}
}

func passiveKeys(p *Passive) section {
	return section{short: "; write passive: { failures: 5 }", keys: []key{
		{name: "failures", value: number(&p.Failures, 1, 10_000), def: "5",
			doc: "So many failed requests within the window take a backend out, also those that a retry hid. Successes between them take nothing back."},
		{name: "window", value: duration(&p.Window, 100*time.Millisecond, time.Hour), def: "10s",
			doc: "How long a failure counts."},
		{name: "for", value: duration(&p.For, 10*time.Millisecond, time.Hour), def: "10s",
			doc: "How long the backend is out; no check shortens it, unless checks saw it down as well and well again, as one that restarts. Then it is on trial, one request at a time: a success brings it back, a failure keeps it out for twice as long (up to 5m)."},
		{name: "max_out", value: percent(&p.MaxOut, 100), def: "50%",
			doc: "The most of a cluster's backends, rounded down, that are out by this at a time."},
		{name: "on", value: passiveWords{list[string]{into: &p.On, kind: "list of failures", item: passiveWord}}, def: "connect,timeout,reset",
			doc: "What counts: connect, timeout (no response head in time), reset (the connection ends inside an exchange), and status codes such as 503 or 502-504."},
	}}
}

func timeouts(t *Timeouts) section {
	return section{short: "; write timeouts: { response: 30s }", keys: []key{
		{name: "connect", value: duration(&t.Connect, time.Millisecond, 5*time.Minute), def: "1s",
			doc: "Connecting, with the TLS handshake."},
		{name: "response", value: duration(&t.Response, time.Millisecond, 24*time.Hour), def: "30s",
			doc: "From the request sent to the head of the response."},
		{name: "stream_idle", value: duration(&t.StreamIdle, time.Millisecond, 168*time.Hour), def: "5m",
			doc: "Silence within a body or a tunnel."},
		{name: "upstream_idle", value: duration(&t.UpstreamIdle, time.Millisecond, time.Hour), def: "4s",
			doc: "How long an unused connection to a backend is kept; keep it below the backend's own keep-alive (Node: 5s)."},
	}}
}

func tlsKeys(t *TLS) section {
	return section{keys: []key{
		{name: "server_name", value: text(&t.ServerName, "host", "a host name", "", checkServerName),
			doc: "Name asked for (SNI) and verified. Default: the host of the backends; required where they differ."},
		{name: "ca", value: text(&t.CA, "system or a path", "system or a path", "", checkNotEmpty), def: "system",
			doc: "Who may sign certificates: the system's authorities, or those of a PEM file."},
		{name: "insecure_skip_verify", value: yesNo(&t.InsecureSkipVerify), def: "false",
			doc: "Accepts any certificate. For tests only."},
		{name: "client_cert", value: text(&t.Client.Cert, "path", "a path", "", checkNotEmpty),
			doc: "A PEM file: the certificate that we prove ourselves by, where backends ask for one (mutual TLS). Read again when it changes, as ca is."},
		{name: "client_key", value: text(&t.Client.Key, "path", "a path", "", checkNotEmpty),
			doc: "A PEM file with its key; may be the same file."},
	}}
}

func gossipKeys(g *Gossip) section {
	return section{short: `; write gossip: { join: ["host:6191"] }`, keys: []key{
		{name: "listen", value: endpoint(&g.Listen, "address", `an address such as ":6191"`, parseGossipListen), def: ":6191",
			doc: "Where peers reach this sidecar, by UDP and TCP: :port (every IPv4 address), or an IP address with a port."},
		{name: "advertise", value: endpoint(&g.Advertise, "IP address, with or without a port", "an address such as 10.0.0.7", parseAdvertise),
			doc: "The address that peers are told, such as \"${POD_IP}\"; without a port: that of listen. Empty: the address of listen, or where that is all of them, the host's own."},
		{name: "join", value: list[string]{into: &g.Join, kind: "list of peers", item: peer},
			doc: "Peers to begin with, host:port or host (with the port of listen): names are looked up again and again, and every address is joined."},
		{name: "label", value: text(&g.Label, "text, up to 64 bytes", "text", labelPattern, checkLabel),
			doc: "Sidecars with another label are never joined, even with the same secret."},
		{name: "secret_file", value: text(&g.SecretFile, "path", "a path such as /run/secrets/gossip", "", nil),
			doc: "File with one key in base64 on each line, as `outrider keygen` makes them: the first encrypts, all decrypt. Required, unless OUTRIDER_GOSSIP__SECRET holds the keys, listen and advertise are loopback addresses, or insecure is true."},
		{name: "secret", value: secret(&g.Keys), variable: true},
		{name: "insecure", value: yesNo(&g.Insecure), def: "false",
			doc: "Gossips without a secret where other hosts can reach it: whoever does so can join."},
		{name: "share_loopback", value: yesNo(&g.ShareLoopback), def: "false",
			doc: "Tells peers about backends at loopback and link-local addresses, too. Only for sidecars that are all on one host, where these are the same backends."},
		{name: "scope", value: text(&g.Scope, "name", "a name such as eu-1", scopePattern, checkScope),
			doc: "Tells networks apart in which one address means different backends: claims count only in the same scope. Empty: one network."},
	}}
}

func peer(into *string) value {
	return scalar[string]{into: into, kind: "host, or host:port", want: "a peer such as outrider:6191", accepts: []scalarType{textual},
		form: schema{"type": "string"}, parse: parseJoin}
}

func limits(l *Limits) section {
	return section{keys: []key{
		{name: "connections", value: number(&l.Connections, 1, 10_000_000), def: "20000",
			doc: "Client connections at once. One more takes the place of the one that has been without a whole request for longest, a second at least; when there is none, it is answered 503. The same holds when descriptors run out, but for the answer."},
		{name: "backlog", value: number(&l.Backlog, 1, 1<<20), def: "4096",
			doc: "Connections of one listener that may wait to be accepted; the system may allow fewer (Linux: net.core.somaxconn)."},
		{name: "buffers", value: sizeOrAuto(&l.Buffers, 1<<20, 1<<40), def: "auto",
			doc: "Memory that requests under way may take together; beyond it new ones wait for head_timeout at most, then are answered 503. auto: a quarter of the container's memory limit, or of the machine's memory."},
		{name: "head", value: size(&l.Head, 1<<10, 16<<20), def: "64KiB",
			doc: "Size of a request's head; larger ones are answered 431."},
		{name: "fields", value: number(&l.Fields, 1, 10_000), def: "128",
			doc: "Header fields of a request; more are answered 431."},
		{name: "head_timeout", value: duration(&l.HeadTimeout, time.Millisecond, time.Hour), def: "10s",
			doc: "How long a client may take to send a head; then 408."},
		{name: "client_idle", value: duration(&l.ClientIdle, time.Millisecond, 24*time.Hour), def: "75s",
			doc: "How long a client's connection may rest between requests."},
		{name: "half_close", value: duration(&l.HalfClose, 0, time.Hour), def: "1s",
			doc: "How long a response may take to begin after the client has closed its sending side."},
	}}
}

const defaultStatusListen = ":6190"

func status(s *Status) section {
	return section{short: `; write status: { listen: ":6190" }`, keys: []key{
		{name: "listen", value: address(&s.Listen, orOff), def: defaultStatusListen, doc: "Its address; empty: off."},
	}}
}

func admin(a *Admin) section {
	return section{short: `; write admin: { listen: "127.0.0.1:6189" }`, keys: []key{
		{name: "listen", value: address(&a.Listen, orOff), def: "127.0.0.1:6189", doc: "Its address; empty: off."},
		{name: "token_file", value: text(&a.TokenFile, "path", "a path", "", nil),
			doc: "File with the token that requests must bring. Required where listen is not a loopback address; empty: none."},
		{name: "hosts", value: list[string]{into: &a.Hosts, kind: "list of hosts", item: func(s *string) value {
			return text(s, "host", "a host name", "", checkHostField)
		}}, doc: "Further Host fields that are answered, beside the listener's own address and localhost."},
		{name: "edit", value: yesNo(&a.Edit), def: "false",
			doc: "Who has the token may save the script from the dashboard; what it holds becomes active as after any edit."},
		{name: "pprof", value: yesNo(&a.Pprof), def: "false",
			doc: "Go's profiles under /debug/pprof/, for who has the token."},
	}}
}

func logging(l *Log) section {
	return section{short: "; write log: { level: info }", keys: []key{
		{name: "level", value: choice(&l.Level, []string{"error", "warn", "info", "debug"}), def: "info",
			doc: "The least that is logged; debug shows the backend of each request."},
		{name: "format", value: choice(&l.Format, []LogFormat{LogAuto, LogText, LogJSON}), def: "auto",
			doc: "`auto` is text on a terminal, JSON elsewhere."},
		{name: "access", value: accessLog(&l.Access), doc: "The access log: one line for each request."},
	}}
}

func accessLog(a *AccessLog) section {
	return section{short: "; write access: { mode: all }", keys: []key{
		{name: "mode", value: choice(&a.Mode, []AccessMode{AccessErrors, AccessAll, AccessOff}), def: "errors",
			doc: "`errors` logs answers from 500 on, answers of the sidecar's own in the place of a backend's, and requests that were cut or given up."},
		{name: "sample", value: percent(&a.Sample, 100), def: "100%",
			doc: "With mode `all`: the share that is logged of the requests that went well."},
		{name: "file", value: text(&a.File, "path or -", "a path, or - for standard output", "", checkNotEmpty), def: "-",
			doc: "Where the lines go; `-` is standard output. The file is appended to. Lines are JSON, unless log.format is text, or is auto and they go to a terminal."},
	}}
}

func shutdown(s *Shutdown) section {
	return section{keys: []key{
		{name: "drain", value: drain(&s.Drain), def: "auto",
			doc: "How long the sidecar goes on serving, unready, before it stops to accept; `auto` is 2s when app is set, else 0."},
		{name: "grace", value: duration(&s.Grace, 0, time.Hour), def: "8s",
			doc: "How long requests under way may take after that."},
	}}
}
