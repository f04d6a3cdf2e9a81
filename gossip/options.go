package gossip

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/sirupsen/logrus"
)

// Options are what a Mesh needs from outside.
type Options struct {
	Name      string         // what operators call this sidecar; need not be unique
	Bind      netip.AddrPort // for UDP and TCP both; port 0: any that is free
	Advertise netip.AddrPort // where peers reach us; zero: Bind, or our own address if that is unspecified; port 0: Bind's
	Join      []string       // peers: "host:port" or "host", names or addresses; without a port: Bind's
	Label     string         // of the network; meshes with different ones do not mix; at most 64 bytes
	Keys      [][]byte       // 16, 24 or 32 bytes each: the first encrypts, all decrypt; none: plaintext
	Insecure  bool           // plaintext beyond loopback is what the operator wants
	Info      Info
	Receiver  Receiver // nil: nobody wants to know
	Log       logrus.FieldLogger
	Rand      *rand.Rand    // for the Mesh alone from now on; seeded otherwise than the peers', or all tell the same few first
	Transport Transport     // nil: UDP and TCP on Bind
	Rejoin    time.Duration // between looking at Join again; 0: 15 s
	Resolve   func(ctx context.Context, host string) ([]netip.Addr, error)
	// nil: the system's resolver. For a name that does not exist the error is a
	// *net.DNSError that says so; then its former addresses are forgotten, after
	// any other error they are kept.
}

// Transport carries packets and streams between sidecars; whoever makes one takes
// care of Bind and Advertise.
type Transport = memberlist.Transport

// Receiver is told what peers claim. Calls come one at a time, from a goroutine of
// the Mesh, in the order of Seq for each register; they may block for a moment, and
// may call the Mesh, but Leave.
type Receiver interface {
	// Receive is called for a peer's claim that is new, or repeated with a higher
	// Seq. When several came at once, only the last one of a register is told.
	Receive(from Peer, c Claim)
	// Withdraw is called when a claim that was told is void: it is older than the TTL, or
	// its observer left, died, or made too many.
	Withdraw(o Observer, key string)
}

const maxLabel = 64

// ErrAdvertise is why a Mesh can not start that does not find the address to tell
// its peers: Options.Advertise must say it.
var ErrAdvertise = errors.New("no address to tell the peers")

func (o *Options) validate() error {
	if o.Name == "" || len(o.Name) > 100 {
		return fmt.Errorf("gossip: the name %q must have 1 to 100 bytes", o.Name)
	}
	if !o.Bind.IsValid() {
		return errors.New("gossip: no address to bind to")
	}
	if len(o.Label) > maxLabel {
		return fmt.Errorf("gossip: the label has %d bytes, at most %d are possible", len(o.Label), maxLabel)
	}
	for _, entry := range o.Join {
		if _, _, err := splitJoin(entry, o.Bind.Port()); err != nil {
			return err
		}
	}
	return errors.Join(o.validateKeys(), o.Info.validate())
}

func (o *Options) validateKeys() error {
	if err := validateKeys(o.Keys); err != nil {
		return err
	}
	if len(o.Keys) > 0 || o.Insecure {
		return nil
	}
	for _, a := range []netip.AddrPort{o.Bind, o.Advertise} {
		if a.IsValid() && !a.Addr().IsLoopback() {
			return fmt.Errorf("gossip: %s is not a loopback address and there is no secret: "+
				"anybody who reaches it could join; give a secret, or say that it is to be insecure", a)
		}
	}
	return nil
}

// memberlist is the configuration of the library for these options.
func (o *Options) memberlist(id string, advertise netip.AddrPort, keys *memberlist.Keyring) *memberlist.Config {
	conf := memberlist.DefaultLANConfig()
	conf.Name = id
	conf.Label = o.Label
	conf.BindAddr, conf.BindPort = o.Bind.Addr().String(), int(o.Bind.Port())
	conf.AdvertiseAddr, conf.AdvertisePort = advertise.Addr().String(), int(advertise.Port())
	conf.Keyring = keys
	conf.Transport = o.Transport
	conf.TCPTimeout = 2 * time.Second
	conf.GossipInterval = 100 * time.Millisecond // who comes and goes; for claims see tickInterval
	conf.PushPullInterval = time.Minute
	conf.EnableCompression = false // it allocates 78 KB for a packet of 80 bytes
	return conf
}

// advertised is the address that peers are told, with the port still 0 if any will do.
func (o *Options) advertised() (netip.AddrPort, error) {
	a := o.Advertise
	if !a.IsValid() {
		a = netip.AddrPortFrom(o.Bind.Addr(), 0)
	}
	if a.Port() == 0 {
		a = netip.AddrPortFrom(a.Addr(), o.Bind.Port())
	}
	if !a.Addr().IsUnspecified() {
		return a, nil
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return a, fmt.Errorf("gossip: %w: ask the interfaces: %w", ErrAdvertise, err)
	}
	own, ok := reachable(addrs, o.Bind.Addr().Is4())
	if !ok {
		return a, fmt.Errorf("gossip: %w: bound to %s, and no interface has an address that others could reach", ErrAdvertise, o.Bind)
	}
	return netip.AddrPortFrom(own, a.Port()), nil
}

// reachable chooses the address of ours that peers most likely reach: the first
// private one of IPv4, else the first that is global.
func reachable(addrs []net.Addr, only4 bool) (best netip.Addr, ok bool) {
	for _, a := range addrs {
		prefix, err := netip.ParsePrefix(a.String())
		if err != nil {
			continue
		}
		own := prefix.Addr().Unmap()
		if !own.IsGlobalUnicast() || only4 && !own.Is4() {
			continue
		}
		if own.Is4() && own.IsPrivate() {
			return own, true
		}
		if !ok {
			best, ok = own, true
		}
	}
	return best, ok
}

// idOf makes the unique name of a node, and nameOf takes it apart.
func idOf(name string, suffix uint32) string { return fmt.Sprintf("%s-%08x", name, suffix) }

func nameOf(id string) string {
	if i := strings.LastIndexByte(id, '-'); i > 0 {
		return id[:i]
	}
	return id
}
