package gossip

import (
	"hash/fnv"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/hashicorp/memberlist"
)

// peers are the members that are alive, without this sidecar. It is a copy, because
// memberlist cannot be asked while it calls.
type peers struct {
	nodes map[string]*member // by ID
	ids   []string           // of nodes, in order
	sum   uint64             // of the fingerprints of ids
}

type member struct {
	Peer
	node memberlist.Node
}

func newPeers() *peers { return &peers{nodes: map[string]*member{}} }

// put takes a member as memberlist shows it, and tells which observer it was and is.
func (p *peers) put(node memberlist.Node, now time.Time) (before, after Observer) {
	ip, _ := netip.AddrFromSlice(node.Addr)
	peer := Peer{
		Name:    nameOf(node.Name),
		ID:      node.Name,
		Address: netip.AddrPortFrom(ip.Unmap(), node.Port),
		Since:   now,
	}
	if o, info, ok := decodeMeta(node.Meta); ok {
		peer.Observer, peer.Info = o, info
	}
	if old := p.nodes[node.Name]; old != nil {
		before, peer.Since = old.Observer, old.Since
	} else {
		i, _ := slices.BinarySearch(p.ids, node.Name)
		p.ids = slices.Insert(p.ids, i, node.Name)
		p.sum += fingerprintOf(node.Name)
	}
	p.nodes[node.Name] = &member{Peer: peer, node: node}
	return before, peer.Observer
}

// remove takes a member out and tells which observer it was.
func (p *peers) remove(id string) Observer {
	old := p.nodes[id]
	if old == nil {
		return 0
	}
	delete(p.nodes, id)
	i, _ := slices.BinarySearch(p.ids, id)
	p.ids = slices.Delete(p.ids, i, i+1)
	p.sum -= fingerprintOf(id)
	return old.Observer
}

func (p *peers) count() int { return len(p.nodes) }

// digest is a sum over the IDs of all members, this sidecar among them.
func (p *peers) digest(self string) uint64 { return p.sum + fingerprintOf(self) }

func fingerprintOf(id string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(id))
	return h.Sum64()
}

func (p *peers) all() []Peer {
	all := make([]Peer, len(p.ids))
	for i, id := range p.ids {
		all[i] = p.nodes[id].Peer
	}
	return all
}

// observes tells whether any member is this observer.
func (p *peers) observes(o Observer) bool {
	_, ok := p.observer(o)
	return ok
}

func (p *peers) observer(o Observer) (Peer, bool) {
	for _, m := range p.nodes {
		if m.Observer == o {
			return m.Peer, true
		}
	}
	return Peer{}, false
}

func (p *peers) at(address netip.AddrPort) bool {
	for _, m := range p.nodes {
		if m.Address == address {
			return true
		}
	}
	return false
}

// some gives at most n members, at random.
func (p *peers) some(n int, rng *rand.Rand) []memberlist.Node {
	n = min(n, len(p.ids))
	nodes := make([]memberlist.Node, 0, n)
	for _, i := range distinct(n, len(p.ids), rng) {
		nodes = append(nodes, p.nodes[p.ids[i]].node)
	}
	return nodes
}

// distinct gives n different numbers below limit, each set of them as likely as any
// other (R. W. Floyd, Communications of the ACM 30(9), 1987).
func distinct(n, limit int, rng *rand.Rand) []int {
	var chosen []int
	for top := limit - n; top < limit; top++ {
		next := rng.IntN(top + 1)
		if slices.Contains(chosen, next) {
			next = top
		}
		chosen = append(chosen, next)
	}
	return chosen
}
