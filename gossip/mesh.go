package gossip

import (
	"context"
	crand "crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/sirupsen/logrus"
)

const (
	repeatAge    = TTL / 3
	leaveTimeout = time.Second
)

// Mesh is this sidecar among its peers. All methods may be called from any
// goroutine, before, during and after Run.
type Mesh struct {
	options Options
	log     logrus.FieldLogger
	id      string
	keys    *memberlist.Keyring // nil: plaintext
	journal *journal
	tune    func(*memberlist.Config) // what tests want otherwise; may be nil
	tick    time.Duration            // see tickInterval

	started  chan struct{} // closed when address and list are set
	address  netip.AddrPort
	list     *memberlist.Memberlist
	leave    chan struct{} // closed by Leave
	over     chan struct{} // closed when Run returned
	leaving  sync.Once
	rejoin   chan struct{} // holds one: there are other entries to join
	announce chan struct{} // each holds one: there is something to do for
	fresh    chan struct{} // spread,
	changed  chan struct{} // deliver,
	repairs  chan struct{} // repair

	mu     sync.Mutex // never held while calling into memberlist, which calls back with locks of its own
	store  *store
	queue  *queue
	peers  *peers
	info   Info
	joins  []string          // as Options.Join; SetJoin replaces it
	toPush map[register]bool // seen first, and not pushed to anybody yet
	toAsk  map[string]bool   // peers, by ID, whose claims differ from ours
	asked  map[string]uint64 // peers, by ID, that asked for our claims, with their digest
	// strange counts pings in a row by which a peer knows other members than we do;
	// toMeet, by ID, is the one to compare notes with.
	strange int
	toMeet  string
	rng     *rand.Rand
}

// New makes a Mesh that has opened nothing yet.
func New(o Options) (*Mesh, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	keys, err := newKeyring(o.Keys)
	if err != nil {
		return nil, fmt.Errorf("gossip: secrets: %w", err)
	}
	m := &Mesh{
		options:  o,
		log:      o.Log,
		id:       idOf(o.Name, uint32(randomObserver())),
		keys:     keys,
		journal:  newJournal(o.Log),
		tick:     tickInterval,
		started:  make(chan struct{}),
		leave:    make(chan struct{}),
		over:     make(chan struct{}),
		rejoin:   make(chan struct{}, 1),
		announce: make(chan struct{}, 1),
		fresh:    make(chan struct{}, 1),
		changed:  make(chan struct{}, 1),
		repairs:  make(chan struct{}, 1),
		store:    newStore(randomObserver()),
		queue:    newQueue(),
		peers:    newPeers(),
		info:     o.Info,
		joins:    o.Join,
		toPush:   map[register]bool{},
		toAsk:    map[string]bool{},
		asked:    map[string]uint64{},
		rng:      o.Rand,
	}
	return m, nil
}

// randomObserver is not from Options.Rand: two processes that are given the same
// seed must not be one observer.
func randomObserver() Observer {
	var b [8]byte
	_, _ = crand.Read(b[:]) // never fails, see its documentation
	return Observer(binary.BigEndian.Uint64(b[:]))
}

// Run opens the sockets, joins peers and gossips until ctx ends or Leave is
// called; then it tells peers that it leaves and closes everything. The error
// is nil then; else it says why the Mesh could not start. It is called once.
func (m *Mesh) Run(ctx context.Context) error {
	defer close(m.over)
	if err := m.start(); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	var tasks sync.WaitGroup
	for _, task := range []func(context.Context){m.spread, m.deliver, m.repair, m.announceChanges, m.join} {
		tasks.Go(func() { task(ctx) })
	}
	select {
	case <-ctx.Done():
	case <-m.leave:
	}
	stop()
	m.sayGoodbye() // before the wait: a join under way may take seconds
	tasks.Wait()
	if err := m.list.Shutdown(); err != nil {
		m.log.WithError(err).Warn("gossip: shut down")
	}
	return nil
}

func (m *Mesh) start() error {
	advertise, err := m.options.advertised()
	if err != nil {
		return err
	}
	conf := m.options.memberlist(m.id, advertise, m.keys)
	conf.LogOutput = m.journal
	hooks := (*delegate)(m)
	conf.Delegate, conf.Events, conf.Ping = hooks, hooks, hooks
	if m.tune != nil {
		m.tune(conf)
	}
	list, err := memberlist.Create(conf)
	if err != nil {
		return fmt.Errorf("gossip on %s: %w", m.options.Bind, err)
	}
	self := list.LocalNode()
	ip, _ := netip.AddrFromSlice(self.Addr)
	m.list, m.address = list, netip.AddrPortFrom(ip.Unmap(), self.Port)
	close(m.started)
	m.log.WithFields(logrus.Fields{"address": m.address, "id": m.id, "encrypted": m.keys != nil}).Info("gossip: listening")
	return nil
}

func (m *Mesh) sayGoodbye() {
	if err := m.list.Leave(leaveTimeout); err != nil {
		m.log.WithError(err).Info("gossip: peers may take some seconds to see that this sidecar left")
	}
}

// Leave makes Run come to its end and waits for it.
func (m *Mesh) Leave(ctx context.Context) error {
	m.leaving.Do(func() { close(m.leave) })
	select {
	case <-m.over:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("gossip: leave: %w", ctx.Err())
	}
}

// Started is closed when the sockets are open.
func (m *Mesh) Started() <-chan struct{} { return m.started }

// Address is where peers reach this sidecar; it waits for nothing, and is zero
// before Started.
func (m *Mesh) Address() netip.AddrPort {
	if !m.running() {
		return netip.AddrPort{}
	}
	return m.address
}

// ID is the name with its random suffix.
func (m *Mesh) ID() string { return m.id }

func (m *Mesh) running() bool {
	select {
	case <-m.started:
		return true
	default:
		return false
	}
}

// Publish claims a state for a key and passes it on at once. What is in force already
// is no news; Up takes back what was claimed and is otherwise none either. Of all
// that one sidecar claims, the 256 latest are kept.
func (m *Mesh) Publish(key string, state State) error {
	if len(key) == 0 || len(key) > MaxKey {
		return fmt.Errorf("gossip: publish %q: a key has 1 to %d bytes", key, MaxKey)
	}
	if !state.known() {
		return fmt.Errorf("gossip: publish %q: unknown %v", key, state)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if c, ok := m.store.write(key, state, time.Now()); ok {
		m.pass(c.register())
	}
	return nil
}

// Announce tells peers what this sidecar runs and whether it is about to leave.
func (m *Mesh) Announce(i Info) error {
	if err := i.validate(); err != nil {
		return err
	}
	m.mu.Lock()
	m.info = i
	m.mu.Unlock()
	kick(m.announce)
	return nil
}

// SetKeys replaces the secrets while running: the first encrypts, all decrypt. To
// rotate without loss, give every sidecar the new one in second place, then in
// first, then alone.
func (m *Mesh) SetKeys(keys [][]byte) error {
	if m.keys == nil {
		return errors.New("gossip: started without a secret: encryption cannot be switched on while running")
	}
	return replaceKeys(m.keys, keys)
}

// SetJoin replaces Options.Join while running. Who is a peer already stays one.
func (m *Mesh) SetJoin(entries []string) error {
	for _, entry := range entries {
		if _, _, err := splitJoin(entry, m.options.Bind.Port()); err != nil {
			return err
		}
	}
	m.mu.Lock()
	m.joins = entries
	m.mu.Unlock()
	kick(m.rejoin)
	return nil
}

// Knows tells whether a peer has an address.
func (m *Mesh) Knows(addr netip.Addr) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range m.peers.nodes {
		if p.Address.Addr() == addr {
			return true
		}
	}
	return false
}

// Called is what to call a peer: its name, or its ID where others have that name, too.
func (m *Mesh) Called(p Peer) string {
	same := 0
	if p.Name == m.options.Name {
		same++
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, other := range m.peers.nodes {
		if other.Name == p.Name {
			same++
		}
	}
	if same > 1 {
		return p.ID
	}
	return p.Name
}

// Size is how many peers are alive, without this sidecar.
func (m *Mesh) Size() int { return m.count() }

// OnlyTCP counts pings that no UDP packet and then a TCP connection has carried:
// something on the way blocks UDP, and all that should take milliseconds takes seconds.
func (m *Mesh) OnlyTCP() uint64 { return m.journal.onlyTCP() }

// Peers are all that are alive, by ID, without this sidecar.
func (m *Mesh) Peers() []Peer {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.peers.all()
}

// Claims are all that are alive, our own as well, by observer and Seq.
func (m *Mesh) Claims() []Claim {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.store.claims(time.Now())
}

// Observer is who this sidecar is in claims; it changes when somebody else
// makes some in its name.
func (m *Mesh) Observer() Observer {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.store.self
}

// Rejected counts what came from the network and was not taken.
func (m *Mesh) Rejected() map[Reason]uint64 { return m.journal.rejected() }

// HealthScore is how much this sidecar's own hearing is to be doubted: 0 is well,
// 8 as bad as can be (Lifeguard, arXiv:1707.00788).
func (m *Mesh) HealthScore() int {
	if !m.running() {
		return 0
	}
	return m.list.GetHealthScore()
}

// pass makes a register known to others: at once to some, and to all by and by.
func (m *Mesh) pass(at register) {
	m.toPush[at] = true
	m.queue.push(at)
	kick(m.fresh)
}

// kick wakes the one who waits for the channel, now or when he next looks.
func kick(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// look is how the queue sees the store.
func (m *Mesh) look(now time.Time) func(register) (Claim, bool) {
	return func(at register) (Claim, bool) { return m.store.get(at, now) }
}

// takeMap empties a map and gives what was in it.
func takeMap[K comparable, V any](from map[K]V) map[K]V {
	taken := maps.Clone(from)
	clear(from)
	return taken
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
