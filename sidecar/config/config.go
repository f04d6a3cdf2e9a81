package config

import (
	"crypto/x509"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"outrider/sidecar/credential"
	"outrider/sidecar/proxyproto"
)

// Config is the whole configuration: every default filled in, every reference
// between its parts checked. It is not changed after [Load].
type Config struct {
	File           string // the file that was read; "" when there was none
	Name           string // this sidecar's name
	App            string // host:port of the app beside us; "" = none
	Listen         []Listener
	DefaultCluster string // where an undecided request goes; "" = nowhere (404)
	StateDir       string // where the last good script is kept; "" = nowhere
	Script         Script
	Clusters       []Cluster // in the order of the file, then app, then the environment's
	Gossip         *Gossip   // nil = no peers, no socket
	TrustedProxies []netip.Prefix
	TrustPeers     bool // the addresses of peers, too
	AmbiguousPaths AmbiguousPaths
	Limits         Limits
	Status         Status
	Admin          Admin
	Log            Log
	Shutdown       Shutdown
	Dev            bool
	Notes          []string // what the operator should know but need not change; one sentence each

	settings []Setting
}

// Cluster is the cluster called name, or nil.
func (c *Config) Cluster(name string) *Cluster {
	i := slices.IndexFunc(c.Clusters, func(cl Cluster) bool { return cl.Name == name })
	if i < 0 {
		return nil
	}
	return &c.Clusters[i]
}

// ClusterNames lists the clusters in the order of Clusters.
func (c *Config) ClusterNames() []string {
	names := make([]string, 0, len(c.Clusters))
	for _, cl := range c.Clusters {
		names = append(names, cl.Name)
	}
	return names
}

// Listener is one address that takes requests.
type Listener struct {
	Name      string // what scripts see as req.listener
	Address   string // as net.Listen takes it
	Cluster   string // where all its requests go, past the script; "" = the script decides
	Forwarded Forwarded
	TLS       *ListenerTLS // nil = cleartext
	// ProxyProtocol: each connection begins with a PROXY protocol header, and comes from
	// one of the TrustedProxies.
	ProxyProtocol bool
}

// Forwarded says what happens to X-Forwarded-For and its kin.
type Forwarded string

// What a listener does with forwarding fields.
const (
	ForwardedAppend  Forwarded = "append" // to those of a trusted client, else replace
	ForwardedReplace Forwarded = "replace"
	ForwardedOff     Forwarded = "off"
)

// Script is the routing script and how it is run.
type Script struct {
	File    string        // path that can be opened as it stands; "" = the built-in rule
	Timeout time.Duration // of one call
	OnError string        // OnErrorFail or a cluster's name; resolved, never ""
	Tests   []string      // paths that can be opened as they stand, of cases that the script must meet

	Data      string            // path that can be opened as it stands; "" = none
	Env       []string          // names of variables
	EnvValues map[string]string // of those of Env that are set; nil where Env is

	Allow    Allow
	Shadow   Shadow
	Rollback Rollback
	MaxMoved float64 // share of the recorded requests that a new version may move, 0 to 1
	Record   int     // decisions that are kept
}

// Shadow is a script that is asked beside the active one.
type Shadow struct {
	File   string  // path that can be opened as it stands; "" = none
	Sample float64 // share of the requests, 0 to 1
}

// Allow is what a script may do that is refused otherwise.
type Allow struct {
	Imports      []string // directories, as they can be opened
	Backtracking bool     // in regular expressions
}

// Rollback says when a new version of the script is taken back.
type Rollback struct {
	ErrorRate float64 // share of failed calls, 0 to 1
	MinErrors int
	Window    time.Duration // the least time on probation
}

// OnErrorFail is the Script.OnError that answers 500. No cluster can have this name.
const OnErrorFail = "fail"

// Cluster is a named group of backends and how requests are sent to it.
type Cluster struct {
	Name      string
	Backends  []Backend
	Resolve   Resolve
	Balance   Balance
	HashKey   HashKey // with BalanceHash
	Check     Check
	Timeouts  Timeouts
	Passive   Passive
	SlowStart time.Duration // in which a backend that joins or comes back gets its share; 0 = at once
	InFlight  int           // requests to one backend at a time
	Retries   int           // extra tries after the first
	Host      string        // the Host field sent upstream; "" = the client's
	OnAllDown OnAllDown
	Protocol  Protocol
	SendProxy SendProxy
	TLS       *TLS // nil = cleartext
}

// Backend is one server of a cluster.
type Backend struct {
	Host   string // a name in lower case, or an IP address without brackets
	Port   uint16
	Weight int
	Raw    string // as written
}

// Address is host:port, with brackets around an IPv6 address.
func (b Backend) Address() string {
	return net.JoinHostPort(b.Host, strconv.Itoa(int(b.Port)))
}

func (b Backend) scheme() string {
	scheme, _, found := strings.Cut(b.Raw, "://")
	if !found {
		return ""
	}
	return strings.ToLower(scheme)
}

// Resolve says how the names of backends become addresses.
type Resolve struct {
	Interval time.Duration
	Family   Family
}

// Family is the address family to use for a name.
type Family string

// Address families. FamilyAuto takes IPv4 where a name has both.
const (
	FamilyAuto Family = "auto"
	FamilyIPv4 Family = "ipv4"
	FamilyIPv6 Family = "ipv6"
)

// Balance is the way in which one of the usable backends is chosen.
type Balance string

// The ways to choose a backend.
const (
	BalanceRoundRobin    Balance = "round_robin"    // smooth, by weight
	BalanceLeastRequests Balance = "least_requests" // whose turn it is, or a less busy one of the others
	BalanceRandomTwo     Balance = "random_two"     // the less busy of two
	BalanceHash          Balance = "hash"           // by HashKey
)

// HashKey is what of a request makes out its backend: a header field or a cookie by
// its name, one of them at most; the zero value is the client's address.
type HashKey struct{ Header, Cookie string }

// Check is the health check of a cluster's backends.
type Check struct {
	Type     CheckType
	Interval time.Duration
	Timeout  time.Duration
	Rise     int     // good results in a row until up
	Fall     int     // bad results in a row until down
	Jitter   float64 // share of the interval, 0 to 0.5

	Send, Expect string // tcp: bytes to send, bytes that the answer must contain

	Path    string        // http
	Host    string        // http: the Host field; "" = the cluster's Host, else the backend's address
	Headers []Header      // http, in the order written
	Status  []StatusRange // http: what counts as healthy
	Body    string        // http: what the body must contain; "" = anything

	Service string // grpc: which has to serve; "" = the server as a whole
}

// CheckType is what a check does.
type CheckType string

// The kinds of check.
const (
	CheckTCP  CheckType = "tcp"
	CheckGRPC CheckType = "grpc"
	CheckTLS  CheckType = "tls"
	CheckHTTP CheckType = "http"
	CheckOff  CheckType = "off"
)

// Header is one field of a request.
type Header struct{ Name, Value string }

// StatusRange is a range of HTTP status codes, both ends included.
type StatusRange struct{ Low, High int }

// Contains reports whether the status is in the range.
func (s StatusRange) Contains(status int) bool { return s.Low <= status && status <= s.High }

// String is the range as it is written in the file.
func (s StatusRange) String() string {
	if s.Low == s.High {
		return strconv.Itoa(s.Low)
	}
	return strconv.Itoa(s.Low) + "-" + strconv.Itoa(s.High)
}

// Timeouts bound the steps of an exchange with a backend.
type Timeouts struct {
	Connect      time.Duration
	Response     time.Duration // until the response's head
	StreamIdle   time.Duration // between two reads of a body or tunnel
	UpstreamIdle time.Duration // how long an unused connection is kept
}

// OnAllDown says what happens when a cluster has no usable backend.
type OnAllDown string

// Without a usable backend: answer 503, or send anyway.
const (
	OnAllDownFail OnAllDown = "fail"
	OnAllDownTry  OnAllDown = "try"
)

// SendProxy is the version of the PROXY protocol header that connections to backends
// begin with.
type SendProxy string

// Versions of the header.
const (
	SendProxyOff SendProxy = "off"
	SendProxyV1  SendProxy = "v1"
	SendProxyV2  SendProxy = "v2"
)

// Version is what package proxyproto calls it.
func (s SendProxy) Version() proxyproto.Version {
	switch s {
	case SendProxyV1:
		return proxyproto.V1
	case SendProxyV2:
		return proxyproto.V2
	}
	return proxyproto.None
}

// Protocol is the HTTP version spoken to backends.
type Protocol string

// Protocols.
const (
	ProtocolAuto Protocol = "auto" // with TLS what the backend chooses, else HTTP/1.1
	ProtocolH1   Protocol = "h1"
	ProtocolH2   Protocol = "h2"  // over TLS
	ProtocolH2C  Protocol = "h2c" // in cleartext
)

// TLS is how connections to a cluster are encrypted.
type TLS struct {
	ServerName         string         // for SNI and verification; never "" unless InsecureSkipVerify
	CA                 string         // path of the PEM file; "" = the system's
	Roots              *x509.CertPool // what CA holds; nil = the system's
	InsecureSkipVerify bool
	Client             credential.Pair // that we prove ourselves by; paths that can be opened as they stand; the zero value: none
}

// AmbiguousPaths says what happens to paths that two parsers could read differently.
type AmbiguousPaths string

// Ambiguous paths are passed on as received, or answered 400.
const (
	AmbiguousPathsPass   AmbiguousPaths = "pass"
	AmbiguousPathsRefuse AmbiguousPaths = "refuse"
)

// Limits protect the sidecar from its clients.
type Limits struct {
	Connections int           // clients at once
	Backlog     int           // connections of one listener that wait to be accepted
	Buffers     int64         // bytes of all requests under way; 0 = a quarter of the memory there is
	Head        int64         // bytes of a request's head
	Fields      int           // header fields of a request
	HeadTimeout time.Duration // from the first byte to the end of a head
	ClientIdle  time.Duration // between two requests
	HalfClose   time.Duration // for a response to begin after the client's FIN
}

// Status is the listener for probes and metrics.
type Status struct {
	Listen string // "" = off
}

// Admin is the listener of the admin API.
type Admin struct {
	Listen    string   // "" = off
	TokenFile string   // path that can be opened as it stands; "" = no token
	Hosts     []string // further Host fields, in lower case, that are answered
	Edit      bool     // the script may be saved through it
	Pprof     bool     // it serves Go's profiles
}

// Log says what is logged and how.
type Log struct {
	Level  string // error, warn, info or debug
	Format LogFormat
	Access AccessLog
}

// AccessLog says which requests are logged and where.
type AccessLog struct {
	Mode   AccessMode
	Sample float64 // share of the requests without an error, 0 to 1, with AccessAll
	File   string  // path that can be opened as it stands; AccessStdout = standard output
}

// AccessStdout is the AccessLog.File that is no file.
const AccessStdout = "-"

// AccessMode says which requests are logged.
type AccessMode string

// Which requests are logged: those that did not go well, all, or none.
const (
	AccessErrors AccessMode = "errors"
	AccessAll    AccessMode = "all"
	AccessOff    AccessMode = "off"
)

// LogFormat is the shape of a log line.
type LogFormat string

// Log formats. LogAuto is text on a terminal, JSON elsewhere.
const (
	LogAuto LogFormat = "auto"
	LogText LogFormat = "text"
	LogJSON LogFormat = "json"
)

// Shutdown says how long stopping may take.
type Shutdown struct {
	Drain time.Duration // resolved: `auto` is 2s with an app, else 0
	Grace time.Duration // for requests under way, after the drain
}
