package gossip

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/memberlist"
)

// delegate is how memberlist calls a Mesh: from many goroutines at once, and for
// events with a lock held, so that calling back would never return. Nothing here
// blocks or sends; what there is to do goes to the tasks of Run.
type delegate Mesh

var (
	_ memberlist.Delegate      = (*delegate)(nil)
	_ memberlist.EventDelegate = (*delegate)(nil)
	_ memberlist.PingDelegate  = (*delegate)(nil)
)

// NodeMeta is what all peers see of us.
func (d *delegate) NodeMeta(int) []byte {
	m := (*Mesh)(d)
	m.mu.Lock()
	defer m.mu.Unlock()
	return encodeMeta(m.store.self, m.info)
}

// NotifyMsg takes a message that a peer sent.
func (d *delegate) NotifyMsg(b []byte) {
	m := (*Mesh)(d)
	message, err := decode(b)
	if err != nil {
		m.journal.reject(reasonOfError(err), err.Error())
		return
	}
	m.merge(message.claims)
	if message.ask != nil {
		m.noteAsk(*message.ask)
	}
}

// GetBroadcasts fills what is left of a packet.
func (d *delegate) GetBroadcasts(overhead, limit int) [][]byte {
	claims := (*Mesh)(d).takeWaiting(limit - overhead - headerSize)
	if len(claims) == 0 {
		return nil
	}
	return [][]byte{encodeClaims(claims)}
}

// LocalState is all we know, for a full exchange.
func (d *delegate) LocalState(bool) []byte {
	return encodeClaims((*Mesh)(d).Claims())
}

// MergeRemoteState takes all that a peer knows.
func (d *delegate) MergeRemoteState(b []byte, _ bool) { d.NotifyMsg(b) }

// AckPayload is the digest of our claims and that of who we know, 8 bytes each.
func (d *delegate) AckPayload() []byte {
	m := (*Mesh)(d)
	m.mu.Lock()
	defer m.mu.Unlock()
	b := binary.BigEndian.AppendUint64(nil, m.store.digest(time.Now()))
	return binary.BigEndian.AppendUint64(b, m.peers.digest(m.id))
}

// NotifyPingComplete compares a peer's digests with ours. What follows them is a
// later version's.
func (d *delegate) NotifyPingComplete(node *memberlist.Node, _ time.Duration, payload []byte) {
	m := (*Mesh)(d)
	if len(payload) < 16 {
		m.journal.reject(Malformed, fmt.Sprintf("digests of %d bytes from %s", len(payload), node.Name))
		return
	}
	claims, members := binary.BigEndian.Uint64(payload), binary.BigEndian.Uint64(payload[8:])
	m.mu.Lock()
	defer m.mu.Unlock()
	if claims != 0 && claims != m.store.digest(time.Now()) {
		m.toAsk[node.Name] = true
		kick(m.repairs)
	}
	m.compareMembers(node.Name, members)
}

// compareMembers asks for a full exchange when several peers one after the other
// know other members than we do; once is no wonder while somebody comes or goes.
func (m *Mesh) compareMembers(peer string, theirs uint64) {
	if theirs == m.peers.digest(m.id) {
		m.strange = 0
		return
	}
	if m.strange++; m.strange >= strangeEnough {
		m.strange, m.toMeet = 0, peer
		kick(m.repairs)
	}
}

// NotifyJoin lets a peer in.
func (d *delegate) NotifyJoin(node *memberlist.Node) { d.NotifyUpdate(node) }

// NotifyUpdate takes what a peer says of itself.
func (d *delegate) NotifyUpdate(node *memberlist.Node) {
	m := (*Mesh)(d)
	if node.Name == m.id {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	before, after := m.peers.put(*node, time.Now())
	m.admitInstead(before, after)
}

// NotifyLeave lets a peer go, who left or died.
func (d *delegate) NotifyLeave(node *memberlist.Node) {
	m := (*Mesh)(d)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.admitInstead(m.peers.remove(node.Name), 0)
	delete(m.toAsk, node.Name)
	delete(m.asked, node.Name)
}

// admitInstead replaces one observer of a peer by another; 0 is none.
func (m *Mesh) admitInstead(before, after Observer) {
	if before != 0 && before != after && !m.peers.observes(before) {
		m.store.dismiss(before)
		kick(m.changed)
	}
	if after != 0 {
		m.store.admit(after)
	}
}

// merge takes claims from the network and passes on those that are new.
func (m *Mesh) merge(claims []Claim) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	for _, c := range claims {
		result, reason := m.store.merge(c, now)
		switch result {
		case rejected:
			m.journal.reject(reason, fmt.Sprintf("%q %s by %s", c.Key, c.State, c.Observer))
		case changed:
			m.pass(c.register())
		case repeated:
			m.queue.push(c.register())
			kick(m.fresh)
		case forged:
			m.journal.reject(Forged, fmt.Sprintf("%q %s", c.Key, c.State))
			m.rename(now)
		}
	}
	if len(m.store.untold) > 0 {
		kick(m.changed)
	}
}

// rename starts anew as another observer, because somebody writes in our name.
func (m *Mesh) rename(now time.Time) {
	for _, c := range m.store.rename(randomObserver(), now) {
		m.pass(c.register())
	}
	kick(m.announce)
}

func (m *Mesh) noteAsk(a ask) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, member := m.peers.nodes[a.name]; member {
		m.asked[a.name] = a.digest
		kick(m.repairs)
	}
}

func reasonOfError(err error) Reason {
	switch {
	case errors.Is(err, errOversized):
		return Oversized
	case errors.Is(err, errUnknownVersion):
		return UnknownVersion
	case errors.Is(err, errUnknownType):
		return UnknownType
	}
	return Malformed
}
