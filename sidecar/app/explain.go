package app

import (
	"cmp"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"outrider/scripting"
	"outrider/scripting/cases"
	"outrider/sidecar/cluster"
	"outrider/sidecar/config"
)

// A Question is a made-up request, and what is not usable when it comes in.
type Question struct {
	Sketch cases.Sketch
	Down   []string // clusters, and backends as cluster/host:port
}

// An Explanation is one decision, and what it leads to.
type Explanation struct {
	Request  string        `json:"request"`           // method and URL
	Script   string        `json:"script,omitempty"`  // the name of its file; "" = no script was asked
	Version  string        `json:"version,omitempty"` // as `outrider status` shows it
	Outcome  string        `json:"outcome"`
	Cluster  string        `json:"cluster,omitempty"`
	Rule     string        `json:"rule,omitempty"`
	Respond  *Answer       `json:"respond,omitempty"`
	Forward  *Forward      `json:"forward,omitempty"` // what is done to the request on its way
	Error    string        `json:"error,omitempty"`   // why the script failed
	Console  []string      `json:"console,omitempty"`
	Took     time.Duration `json:"took_ns,omitempty"` // the first call in a new runtime; later ones are faster
	Then     string        `json:"then"`              // what happens to the request, in words
	Backends []Candidate   `json:"backends,omitempty"`
}

// A Forward is what a decision does to a request on its way, and to its response.
type Forward struct {
	RequestHeaders  []Edit `json:"requestHeaders,omitempty"`
	ResponseHeaders []Edit `json:"responseHeaders,omitempty"`
	Path            string `json:"path,omitempty"` // "" = as received
	HashKey         string `json:"hashKey,omitempty"`
	Backend         string `json:"backend,omitempty"` // that the key picks; "" = not known without resolving names
	Timeout         string `json:"timeout,omitempty"` // "" = the cluster's
}

// An Edit sets a header to values; nil: it is removed.
type Edit struct {
	Name   string   `json:"name"`
	Values []string `json:"values"`
}

// An Answer is what the script answers by itself.
type Answer struct {
	Status  int         `json:"status"`
	Headers [][2]string `json:"headers,omitempty"` // names and values, in the order of the script
	Body    string      `json:"body,omitempty"`
}

// A Candidate is a backend of the cluster that was decided for.
type Candidate struct {
	Address string `json:"address"` // as configured
	Weight  int    `json:"weight"`
	Usable  bool   `json:"usable"`
}

// Explain decides on one made-up request as a sidecar with this configuration
// would. Nothing is started, and no backend is asked.
func Explain(c *config.Config, q Question) (*Explanation, error) {
	door, err := listenerOf(c, q.Sketch.Listener)
	if err != nil {
		return nil, err
	}
	q.Sketch.Listener = door.Name
	request, err := cases.NewRequest(q.Sketch)
	if err != nil {
		return nil, err
	}
	fleet := cases.NewFleet(clustersOf(c))
	for _, what := range q.Down {
		if err := fleet.TakeDown(what); err != nil {
			return nil, err
		}
	}
	e := &Explanation{Request: request.Method() + " " + request.URL()}
	switch {
	case door.Cluster != "":
		e.Cluster, e.Outcome, e.Rule = door.Cluster, scripting.OK.String(), "listener "+door.Name+" sends everything to "+door.Cluster
	case c.Script.File == "":
		e.builtin(c, request.Path())
	default:
		if err := e.ask(c, request, fleet); err != nil {
			return nil, err
		}
	}
	e.conclude(c, fleet)
	return e, nil
}

// listenerOf is the listener of that name; without one the first that asks the
// script.
func listenerOf(c *config.Config, name string) (config.Listener, error) {
	i := slices.IndexFunc(c.Listen, func(l config.Listener) bool { return l.Name == name || name == "" && l.Cluster == "" })
	if i < 0 && name == "" {
		i = 0
	}
	if i < 0 {
		var names []string
		for _, l := range c.Listen {
			names = append(names, l.Name)
		}
		return config.Listener{}, fmt.Errorf("there is no listener %q%s; there are %s", name, scripting.DidYouMean(name, names), strings.Join(names, ", "))
	}
	return c.Listen[i], nil
}

// builtin explains the built-in rule.
func (e *Explanation) builtin(c *config.Config, path string) {
	e.Cluster, e.Rule, e.Outcome = "two", "the built-in rule", scripting.OK.String()
	if strings.HasPrefix(path, "/one/") {
		e.Cluster = "one"
	}
	if c.Cluster(e.Cluster) == nil {
		e.Cluster, e.Outcome = c.DefaultCluster, scripting.Default.String()
	}
	if e.Cluster == "" {
		e.Outcome = scripting.NoRoute.String()
	}
}

// ask asks the script.
func (e *Explanation) ask(c *config.Config, request *cases.Request, fleet *cases.Fleet) error {
	s, err := Subject(c)
	if err != nil {
		return err
	}
	bench, err := cases.NewBench(s)
	if err != nil {
		return err
	}
	defer bench.Close()
	e.Script, e.Version = s.Source.Name, bench.Version()
	began := time.Now()
	d, said := bench.Route(request, scripting.Moment{Clusters: fleet})
	e.Took = time.Since(began)
	e.Outcome, e.Cluster, e.Rule, e.Console = d.Outcome.String(), d.Cluster, d.Rule, said
	if d.Respond != nil {
		e.Respond = &Answer{d.Respond.Status, d.Respond.Header, d.Respond.Body}
	}
	e.Forward = forwardOf(d)
	if d.Err != nil {
		e.Error = d.Err.Error()
	}
	return nil
}

func forwardOf(d scripting.Decision) *Forward {
	f := Forward{Path: d.Path, HashKey: d.HashKey}
	for _, h := range d.RequestHeaders {
		f.RequestHeaders = append(f.RequestHeaders, Edit(h))
	}
	for _, h := range d.ResponseHeaders {
		f.ResponseHeaders = append(f.ResponseHeaders, Edit(h))
	}
	if d.Timeout != 0 {
		f.Timeout = d.Timeout.String()
	}
	if reflect.DeepEqual(f, Forward{}) {
		return nil
	}
	return &f
}

// conclude tells what the decision leads to.
func (e *Explanation) conclude(c *config.Config, fleet *cases.Fleet) {
	if e.Respond != nil {
		e.Then = fmt.Sprintf("answered by the script, %d", e.Respond.Status)
		return
	}
	cl := c.Cluster(e.Cluster)
	if cl == nil {
		e.Then = cmp.Or(map[string]string{scripting.NoRoute.String(): "answered 404: no cluster, and no default_cluster"}[e.Outcome],
			"answered 500 (script.on_error: fail)")
		return
	}
	usable := 0
	for _, b := range cl.Backends {
		candidate := Candidate{b.Address(), b.Weight, !fleet.IsDown(cl.Name, b.Address())}
		e.Backends = append(e.Backends, candidate)
		if candidate.Usable {
			usable++
		}
	}
	if e.Forward != nil && e.Forward.HashKey != "" {
		e.pickKeyed(cl, fleet)
	}
	switch {
	case usable > 0 && e.Forward != nil && e.Forward.HashKey != "":
		e.Then = "sent to " + cmp.Or(e.Forward.Backend, "the backend that the address, once it is resolved, and the key make out") + ", by the key " + strconv.Quote(e.Forward.HashKey)
	case usable > 0:
		e.Then = balancedBy(cl, usable)
	case cl.OnAllDown == config.OnAllDownTry:
		e.Then = "sent to a backend that is down, since none is usable (on_all_down: try)"
	default:
		e.Then = "answered 503, since no backend is usable (on_all_down: fail)"
	}
}

// balancedBy tells how one of so many usable backends is chosen.
func balancedBy(c *config.Cluster, usable int) string {
	of := fmt.Sprintf("%d of %d backends", usable, len(c.Backends))
	switch c.Balance {
	case config.BalanceLeastRequests:
		return of + " take turns, by weight, unless another one is less busy (balance: least_requests)"
	case config.BalanceRandomTwo:
		return "the less busy of two, drawn by weight from " + of + " (balance: random_two)"
	case config.BalanceHash:
		return fmt.Sprintf("%s, always the same one for the same key (balance: hash, hash_key: %s)", of, c.HashKey)
	case config.BalanceRoundRobin:
	}
	return of + " take turns, by weight (balance: round_robin)"
}

// pickKeyed finds the backend that the key picks, as a sidecar does. That goes by
// addresses: where a backend is a name, nobody knows without resolving it.
func (e *Explanation) pickKeyed(c *config.Cluster, fleet *cases.Fleet) {
	made := cluster.New(c.Name, new(cluster.Policy), newRand())
	var members []cluster.Member
	for _, b := range c.Backends {
		addr, err := netip.ParseAddr(b.Host)
		if err != nil {
			return
		}
		members = append(members, cluster.Member{Name: b.Address(), Addr: netip.AddrPortFrom(addr, b.Port), Weight: b.Weight})
	}
	made.SetMembers(members)
	for _, m := range members {
		if fleet.IsDown(c.Name, m.Name) {
			made.SetState(m.Addr, cluster.Down)
		}
	}
	if b := made.PickKeyed(cluster.KeyOf(e.Forward.HashKey), nil); b != nil {
		e.Forward.Backend = b.Name()
	}
}
