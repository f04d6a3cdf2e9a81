package gossip

import (
	"context"
	"time"

	"github.com/hashicorp/memberlist"
)

const (
	fanout     = 6    // peers that a sidecar tells at once what it sees first: e^-6 of them never hear of it that way
	tickPeers  = 4    // that are told at each tick
	packetSize = 1200 // bytes of a message in one packet: with all that is around it no more than an Ethernet frame carries
)

// tickInterval is the time between two tellings of what waits in the queue. memberlist
// has ticks of its own, of which each costs a wake-up even when there is nothing to
// tell; these are only there while there is.
const tickInterval = 50 * time.Millisecond

// spread pushes claims that were seen first to a few peers at once. Each of them
// does the same; so all know within some round trips, and what is lost on the
// way the queue makes up for.
func (m *Mesh) spread(ctx context.Context) {
	upkeep := time.NewTicker(time.Second)
	defer upkeep.Stop()
	var ticked <-chan time.Time // nil: nothing waits
	for {
		if ticked == nil && m.waiting() {
			ticked = time.After(m.tick)
		}
		select {
		case <-ctx.Done():
			return
		case <-upkeep.C:
			m.upkeep()
		case <-m.fresh:
			m.push()
		case <-ticked:
			ticked = nil
			m.passOn()
		}
	}
}

// waiting tells whether there is something to pass on, and somebody to pass it to.
func (m *Mesh) waiting() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.queue.waiting) > 0 && m.peers.count() > 0
}

// passOn tells a few peers what is next in the queue.
func (m *Mesh) passOn() {
	m.mu.Lock()
	to := m.peers.some(tickPeers, m.rng)
	m.mu.Unlock()
	for i := range to {
		claims := m.takeWaiting(packetSize - headerSize)
		if len(claims) == 0 {
			return
		}
		m.send(&to[i], encodeClaims(claims))
	}
}

// takeWaiting takes what is next in the queue and fits into so many bytes.
func (m *Mesh) takeWaiting(size int) []Claim {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.queue.take(size, transmissions(m.peers.count()+1), m.look(time.Now()))
}

func (m *Mesh) push() {
	packets, to := m.toPushNow()
	for i := range to {
		for _, packet := range packets {
			m.send(&to[i], packet)
		}
	}
}

func (m *Mesh) toPushNow() ([][]byte, []memberlist.Node) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.toPush) == 0 {
		return nil, nil
	}
	now := time.Now()
	claims := make([]Claim, 0, len(m.toPush))
	for at := range m.toPush {
		if c, ok := m.store.get(at, now); ok {
			claims = append(claims, c)
		}
	}
	clear(m.toPush)
	return encodePackets(claims, packetSize), m.peers.some(fanout, m.rng)
}

// send gives a packet to the network, which may lose it anyway.
func (m *Mesh) send(to *memberlist.Node, packet []byte) {
	if err := m.list.SendBestEffort(to, packet); err != nil {
		m.log.WithError(err).WithField("peer", to.Name).Debug("gossip: send a packet")
	}
}

// upkeep repeats our claims that would else expire, and forgets what did.
func (m *Mesh) upkeep() {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	for _, c := range m.store.repeat(repeatAge, now) {
		m.queue.push(c.register())
	}
	m.store.expire(now)
	m.queue.prune(m.look(now))
	if len(m.store.untold) > 0 {
		kick(m.changed)
	}
}

// deliver tells the Receiver what changed.
func (m *Mesh) deliver(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.changed:
		}
		for _, news := range m.news() {
			if m.options.Receiver == nil {
				continue
			}
			if news.withdrawn {
				m.options.Receiver.Withdraw(news.claim.Observer, news.claim.Key)
			} else {
				m.options.Receiver.Receive(news.from, news.claim)
			}
		}
	}
}

type report struct {
	change
	from Peer
}

func (m *Mesh) news() []report {
	m.mu.Lock()
	defer m.mu.Unlock()
	changes := m.store.take(time.Now())
	all := make([]report, len(changes))
	for i, c := range changes {
		from, _ := m.peers.observer(c.claim.Observer)
		all[i] = report{c, from}
	}
	return all
}

// announceChanges makes memberlist read our metadata again.
func (m *Mesh) announceChanges(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.announce:
		}
		if err := m.list.UpdateNode(leaveTimeout); err != nil {
			m.log.WithError(err).Debug("gossip: peers hear later what changed here")
		}
	}
}
