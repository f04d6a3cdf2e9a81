package scripting

import (
	"math/rand/v2"
	"time"
)

// A Reading is what one call has read: all that its decision depends on. A call
// of the same script that is given the same decides the same.
type Reading struct {
	ID  []byte    // the request's id, whether read or not
	Now time.Time // at the start of the call
	// Seed is that of Math.random; 0: it was not called.
	Seed uint64

	Has      Properties // which of the following were read
	Method   string
	Path     string
	RawQuery string
	Host     string
	Scheme   string
	IP       string
	Listener string
	TLS      *TLS

	Headers  []NamedValue // by the names that the script used
	Cookies  []NamedValue
	Clusters []ClusterHealth

	HeaderNames, CookieNames []string // of all there were

	// Place is where route returned, file:line:column; only with [Options.Places].
	Place string
	depth int // of the calls at Place
}

// Properties is a set of those properties of a request that are single values.
type Properties uint16

// The properties of a request.
const (
	ReadMethod Properties = 1 << iota
	ReadPath
	ReadQuery
	ReadHost
	ReadScheme
	ReadIP
	ReadID
	ReadListener
	ReadHeaderNames
	ReadCookieNames
	ReadTLS
	ReadNow // the time; it is known in any case
)

// A NamedValue is a header or a cookie that was read. Absent ones are read, too.
type NamedValue struct {
	Name, Value string
	Present     bool
}

// ClusterHealth is the health of a cluster as a call saw it.
type ClusterHealth struct {
	Name           string
	Healthy, Total int
	Known          bool // there is such a cluster
}

// identified is a [Request] that can give its id without making a string of it.
type identified interface{ AppendID([]byte) []byte }

func (n *Reading) begin(r Request) {
	*n = Reading{ID: n.ID[:0], Headers: n.Headers[:0], Cookies: n.Cookies[:0], Clusters: n.Clusters[:0]}
	if i, ok := r.(identified); ok {
		n.ID = i.AppendID(n.ID)
	} else {
		n.ID = append(n.ID, r.ID()...)
	}
}

// maxNoted is how many clusters, headers and cookies of a call are noted.
const maxNoted = 64

func (n *Reading) cluster(c ClusterHealth) {
	for _, known := range n.Clusters {
		if known.Name == c.Name {
			return
		}
	}
	if len(n.Clusters) < maxNoted {
		n.Clusters = append(n.Clusters, c)
	}
}

// noted notes the value of a property, where there is somebody to note it.
func noted(n *Reading, p Properties, value string) string {
	if n == nil || n.Has&p != 0 {
		return value
	}
	n.Has |= p
	switch p {
	case ReadMethod:
		n.Method = value
	case ReadPath:
		n.Path = value
	case ReadQuery:
		n.RawQuery = value
	case ReadHost:
		n.Host = value
	case ReadScheme:
		n.Scheme = value
	case ReadIP:
		n.IP = value
	case ReadListener:
		n.Listener = value
	}
	return value
}

func (n *Reading) header(name, value string, present bool) {
	if len(n.Headers) < maxNoted {
		n.Headers = append(n.Headers, NamedValue{name, value, present})
	}
}

func (n *Reading) cookie(name, value string, present bool) {
	for _, known := range n.Cookies {
		if known.Name == name {
			return
		}
	}
	if len(n.Cookies) < maxNoted {
		n.Cookies = append(n.Cookies, NamedValue{name, value, present})
	}
}

// listen prepares to note what the call reads, if somebody wants to know.
func (rt *runtime) listen(r Request) {
	rt.notes, rt.onCall = nil, rt.script.options.OnCall
	if rt.moment.OnCall != nil {
		rt.onCall = rt.moment.OnCall
	}
	if rt.onCall != nil {
		rt.notes = &rt.reading
		rt.notes.begin(r)
	}
}

// tell tells of the call, which has ended.
func (rt *runtime) tell(d Decision) {
	if rt.notes == nil {
		return
	}
	if !rt.now.IsZero() {
		rt.notes.Has |= ReadNow
	}
	rt.notes.Now = rt.clock()
	if rt.dice.seeded {
		rt.notes.Seed = rt.dice.seed
	}
	rt.onCall(rt.notes, d)
	rt.notes = nil
}

// A Moment is what a call sees beside its request, where that is not the present.
type Moment struct {
	Now      time.Time // zero: the present
	Seed     uint64    // of Math.random; 0: any
	Clusters Clusters  // nil: those of the options

	// OnCall is told of the call in the place of the options' OnCall.
	OnCall func(*Reading, Decision)
}

// A dice is Math.random of one call: a generator that is seeded when the call
// first asks for it, so that its seed makes the call repeatable.
type dice struct {
	seed   uint64
	seeded bool
	pcg    rand.PCG
}

func (d *dice) roll() float64 {
	if !d.seeded {
		if d.seed == 0 {
			d.seed = rand.Uint64() | 1
		}
		d.pcg.Seed(d.seed, 0)
		d.seeded = true
	}
	return float64(d.pcg.Uint64()>>11) / (1 << 53)
}
