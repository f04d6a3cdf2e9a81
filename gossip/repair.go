package gossip

import (
	"context"
	"time"

	"github.com/hashicorp/memberlist"
)

// repair asks peers whose digest differs for their claims, and answers those that
// ask. Every sidecar pings one peer a second, whose acknowledgement has the
// digests; so what packets lost is found within about a second, at no packet more
// while nothing is lost.
func (m *Mesh) repair(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.repairs:
		}
		for _, node := range m.takeAsks() {
			m.send(&node.node, encodeAsk(ask{digest: node.digest, name: m.id}))
		}
		for _, node := range m.takeAsked() {
			m.answer(&node.node, node.digest)
		}
		m.meet()
	}
}

// strangeEnough is how many pings in a row must show other members. memberlist tells
// of a newcomer a few times and then never again until a push/pull, which
// comes once in a minute or more.
const strangeEnough = 3

// meet exchanges everything with the peer that knows others, if there is one.
func (m *Mesh) meet() {
	m.mu.Lock()
	peer := m.peers.nodes[m.toMeet]
	m.toMeet = ""
	m.mu.Unlock()
	if peer == nil {
		return
	}
	if _, err := m.list.Join([]string{peer.Address.String()}); err != nil {
		m.log.WithError(err).WithField("peer", peer.ID).Debug("gossip: exchange members")
	}
}

type asker struct {
	node   memberlist.Node
	digest uint64
}

// takeAsks are the peers to ask, each with the digest of what we have.
func (m *Mesh) takeAsks() []asker {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.known(sorted(takeMap(m.toAsk)), func(string) uint64 { return m.store.digest(time.Now()) })
}

// takeAsked are the peers that asked, each with the digest of what it has.
func (m *Mesh) takeAsked() []asker {
	m.mu.Lock()
	defer m.mu.Unlock()
	asked := takeMap(m.asked)
	return m.known(sorted(asked), func(id string) uint64 { return asked[id] })
}

func (m *Mesh) known(ids []string, digest func(string) uint64) []asker {
	var all []asker
	for _, id := range ids {
		if p := m.peers.nodes[id]; p != nil {
			all = append(all, asker{p.node, digest(id)})
		}
	}
	return all
}

// answer sends all claims: what fits into two packets as packets, more as a stream.
func (m *Mesh) answer(to *memberlist.Node, theirs uint64) {
	m.mu.Lock()
	now := time.Now()
	claims, ours := m.store.claims(now), m.store.digest(now)
	m.mu.Unlock()
	if ours == theirs || len(claims) == 0 {
		return
	}
	packets := encodePackets(claims, packetSize)
	if len(packets) <= 2 {
		for _, packet := range packets {
			m.send(to, packet)
		}
		return
	}
	if err := m.list.SendReliable(to, encodeClaims(claims)); err != nil {
		m.log.WithError(err).WithField("peer", to.Name).Debug("gossip: answer with all claims")
	}
}
