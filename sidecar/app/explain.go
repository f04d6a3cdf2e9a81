package app

import (
	"cmp"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"outrider/scripting"
	"outrider/scripting/cases"
	"outrider/scripting/record"
	"outrider/sidecar/admin"
	"outrider/sidecar/cluster"
	"outrider/sidecar/config"
	"outrider/sidecar/rollout"
)

// A Question is a made-up request, and what is not usable when it comes in.
type Question struct {
	Sketch cases.Sketch
	Down   []string // clusters, and backends as cluster/host:port
}

// Explain decides on one made-up request as a sidecar with this configuration
// would. Nothing is started, and no backend is asked.
func Explain(c *config.Config, q Question) (*admin.Explanation, error) {
	fleet := cases.NewFleet(clustersOf(c))
	for _, what := range q.Down {
		if err := fleet.TakeDown(what); err != nil {
			return nil, err
		}
	}
	e := &explaining{config: c, Explanation: admin.Explanation{Asked: "the files"}}
	err := e.decide(q.Sketch, func(request *cases.Request) (*rollout.Asked, error) {
		s, err := Subject(c)
		if err != nil {
			return nil, err
		}
		return rollout.Ask(s, request, scripting.Moment{Clusters: fleet})
	})
	if err != nil {
		return nil, err
	}
	if cl := c.Cluster(e.Cluster); cl != nil {
		e.Backends = configured(cl, fleet)
		if e.isKeyed() {
			e.Forward.Backend = pickKeyed(cl, e.Forward.HashKey, fleet)
		}
	}
	e.conclude()
	return &e.Explanation, nil
}

// explaining is an explanation that is being made.
type explaining struct {
	admin.Explanation

	config *config.Config
}

// decide makes a sketch a request, and tells what the listener, the built-in rule
// or the script that ask asks decide on it.
func (e *explaining) decide(sketch cases.Sketch, ask func(*cases.Request) (*rollout.Asked, error)) error {
	door, err := listenerOf(e.config, sketch.Listener)
	if err != nil {
		return err
	}
	sketch.Listener = door.Name
	request, err := cases.NewRequest(sketch)
	if err != nil {
		return err
	}
	e.Request = request.Method() + " " + request.URL()
	switch {
	case door.Cluster != "":
		e.Cluster, e.Outcome, e.Rule = door.Cluster, scripting.OK.String(), "listener "+door.Name+" sends everything to "+door.Cluster
	case e.config.Script.File == "":
		e.builtin(request.Path())
	default:
		asked, err := ask(request)
		if err != nil {
			return err
		}
		e.scripted(asked)
	}
	return nil
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
func (e *explaining) builtin(path string) {
	e.Cluster, e.Rule, e.Outcome = "two", "the built-in rule", scripting.OK.String()
	if strings.HasPrefix(path, "/one/") {
		e.Cluster = "one"
	}
	if e.config.Cluster(e.Cluster) == nil {
		e.Cluster, e.Outcome = e.config.DefaultCluster, scripting.Default.String()
	}
	if e.Cluster == "" {
		e.Outcome = scripting.NoRoute.String()
	}
}

// scripted tells what the script has decided.
func (e *explaining) scripted(asked *rollout.Asked) {
	d := asked.Decision
	e.Script, e.Version, e.Took = asked.Script, asked.Version, asked.Took
	e.Outcome, e.Cluster, e.Rule, e.Console, e.Place = d.Outcome.String(), d.Cluster, d.Rule, asked.Said, asked.Place
	if d.Respond != nil {
		e.Respond = &admin.Answer{Status: d.Respond.Status, Headers: d.Respond.Header, Body: d.Respond.Body}
	}
	e.Forward = forwardOf(d)
	if d.Err != nil {
		e.Error = d.Err.Error()
	}
	e.read(&asked.Read)
}

// read tells what the script has read.
func (e *explaining) read(entry *record.Entry) {
	r := &entry.Read
	for _, p := range []struct {
		name  string
		value *string
	}{
		{"req.method", r.Method}, {"req.path", r.Path}, {"req.query", r.Query}, {"req.host", r.Host},
		{"req.scheme", r.Scheme}, {"req.ip", r.IP}, {"req.listener", r.Listener},
	} {
		if p.value != nil {
			e.Read = append(e.Read, admin.Reading{What: p.name, Value: *p.value, Hidden: p.value == r.Query && r.QueryHidden})
		}
	}
	for _, kind := range []struct {
		name   string
		fields []record.Field
	}{{"req.headers", r.Headers}, {"req.cookies", r.Cookies}} {
		for _, f := range kind.fields {
			e.Read = append(e.Read, admin.Reading{What: kind.name + "['" + f.Name + "']", Value: f.Value, Absent: f.Absent, Hidden: f.Hidden})
		}
	}
	for _, c := range entry.Clusters {
		e.Saw = append(e.Saw, admin.Sight{Cluster: c.Name, Healthy: c.Healthy, Total: c.Total, Missing: c.Missing})
	}
}

func forwardOf(d scripting.Decision) *admin.Forward {
	f := admin.Forward{Path: d.Path, HashKey: d.HashKey}
	for _, h := range d.RequestHeaders {
		f.RequestHeaders = append(f.RequestHeaders, admin.Edit(h))
	}
	for _, h := range d.ResponseHeaders {
		f.ResponseHeaders = append(f.ResponseHeaders, admin.Edit(h))
	}
	if d.Timeout != 0 {
		f.Timeout = d.Timeout.String()
	}
	if reflect.DeepEqual(f, admin.Forward{}) {
		return nil
	}
	return &f
}

func (e *explaining) isKeyed() bool { return e.Forward != nil && e.Forward.HashKey != "" }

// configured are the backends of a cluster as the files have them.
func configured(c *config.Cluster, fleet *cases.Fleet) []admin.Candidate {
	var all []admin.Candidate
	for _, b := range c.Backends {
		all = append(all, admin.Candidate{Address: b.Address(), Weight: b.Weight, Usable: !fleet.IsDown(c.Name, b.Address())})
	}
	return all
}

// conclude tells what the decision leads to.
func (e *explaining) conclude() {
	if e.Respond != nil {
		e.Then = fmt.Sprintf("answered by the script, %d", e.Respond.Status)
		return
	}
	c := e.config.Cluster(e.Cluster)
	if c == nil {
		e.Then = cmp.Or(map[string]string{scripting.NoRoute.String(): "answered 404: no cluster, and no default_cluster"}[e.Outcome],
			"answered 500 (script.on_error: fail)")
		return
	}
	usable := 0
	for _, b := range e.Backends {
		if b.Usable {
			usable++
		}
	}
	switch {
	case usable > 0 && e.isKeyed():
		e.Then = "sent to " + cmp.Or(e.Forward.Backend, "the backend that the address, once it is resolved, and the key make out") + ", by the key " + strconv.Quote(e.Forward.HashKey)
	case usable > 0:
		e.Then = balancedBy(c, usable, len(e.Backends))
	case c.OnAllDown == config.OnAllDownTry:
		e.Then = "sent to a backend that is down, since none is usable (on_all_down: try)"
	default:
		e.Then = "answered 503, since no backend is usable (on_all_down: fail)"
	}
}

// balancedBy tells how one of the usable backends is chosen.
func balancedBy(c *config.Cluster, usable, total int) string {
	of := fmt.Sprintf("%d of %d backends", usable, total)
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
func pickKeyed(c *config.Cluster, key string, fleet *cases.Fleet) string {
	made := cluster.New(c.Name, new(cluster.Policy), newRand())
	var members []cluster.Member
	for _, b := range c.Backends {
		addr, err := netip.ParseAddr(b.Host)
		if err != nil {
			return ""
		}
		members = append(members, cluster.Member{Name: b.Address(), Addr: netip.AddrPortFrom(addr, b.Port), Weight: b.Weight})
	}
	made.SetMembers(members)
	for _, m := range members {
		if fleet.IsDown(c.Name, m.Name) {
			made.SetState(m.Addr, cluster.Down)
		}
	}
	if b := made.PickKeyed(cluster.KeyOf(key), nil); b != nil {
		return b.Name()
	}
	return ""
}
