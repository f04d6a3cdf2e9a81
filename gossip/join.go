package gossip

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
)

const (
	rejoinInterval = 15 * time.Second
	firstRejoin    = time.Second // and twice as long each time, while nobody is there
	lookupTimeout  = 5 * time.Second
	joinsAtOnce    = 8
)

// seed is one entry of Options.Join, and what is known of it. Only the task join
// touches it.
type seed struct {
	host  string
	port  uint16
	addrs []netip.AddrPort // the latest answer
	fault string           // why there was none; told when it changes
}

// join looks for peers for ever: it resolves all entries again and again, and joins
// the addresses that are no members. What a name does not resolve to any more is
// not tried any more.
func (m *Mesh) join(ctx context.Context) {
	seeds := m.seeds(nil)
	interval := m.options.Rejoin
	if interval <= 0 {
		interval = rejoinInterval
	}
	wait := min(firstRejoin, interval)
	for {
		m.resolveAll(ctx, seeds)
		m.joinAll(ctx, seeds)
		if m.alone() {
			wait = min(2*wait, interval)
		} else {
			wait = interval
		}
		select {
		case <-ctx.Done():
			return
		case <-m.rejoin:
			seeds, wait = m.seeds(seeds), min(firstRejoin, interval)
		case <-time.After(m.jittered(wait)):
		}
	}
}

// seeds are the entries to join now; what is known of those of before stays known.
func (m *Mesh) seeds(before []*seed) []*seed {
	m.mu.Lock()
	joins := m.joins
	m.mu.Unlock()
	seeds := make([]*seed, 0, len(joins))
	for _, entry := range joins {
		port := m.options.Bind.Port()
		if port == 0 {
			port = m.address.Port()
		}
		host, port, err := splitJoin(entry, port)
		if err != nil {
			continue // New has refused it
		}
		next := &seed{host: host, port: port}
		if i := slices.IndexFunc(before, func(s *seed) bool { return s.host == host && s.port == port }); i >= 0 {
			next = before[i]
		}
		seeds = append(seeds, next)
	}
	return seeds
}

func splitJoin(entry string, otherwise uint16) (host string, port uint16, err error) {
	if a, err := netip.ParseAddr(entry); err == nil {
		return a.String(), otherwise, nil
	}
	host, text, err := net.SplitHostPort(entry)
	if addr := (*net.AddrError)(nil); errors.As(err, &addr) && addr.Err == "missing port in address" {
		host, text, err = entry, strconv.Itoa(int(otherwise)), nil
	}
	if err != nil || host == "" {
		return "", 0, fmt.Errorf("gossip: join %q: want host:port, host or an address", entry)
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("gossip: join %q: the port must be a number up to 65535", entry)
	}
	return host, uint16(n), nil
}

func (m *Mesh) resolveAll(ctx context.Context, seeds []*seed) {
	var lookups sync.WaitGroup
	for _, s := range seeds {
		lookups.Go(func() { m.resolve(ctx, s) })
	}
	lookups.Wait()
}

// resolve asks for a seed's addresses. While nobody answers the former ones stay.
func (m *Mesh) resolve(ctx context.Context, s *seed) {
	if a, err := netip.ParseAddr(s.host); err == nil {
		s.addrs = []netip.AddrPort{netip.AddrPortFrom(a.Unmap(), s.port)}
		return
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	addrs, err := m.lookup(ctx, s.host)
	if err != nil {
		if dns := (*net.DNSError)(nil); errors.As(err, &dns) && dns.IsNotFound {
			s.addrs = nil
		}
		m.tellFault(ctx, s, err.Error())
		return
	}
	s.addrs = s.addrs[:0]
	for _, a := range addrs {
		s.addrs = append(s.addrs, netip.AddrPortFrom(a.Unmap(), s.port))
	}
	m.tellFault(ctx, s, "")
}

func (m *Mesh) lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	if m.options.Resolve != nil {
		return m.options.Resolve(ctx, host)
	}
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}

func (m *Mesh) tellFault(ctx context.Context, s *seed, fault string) {
	if fault == s.fault || errors.Is(ctx.Err(), context.Canceled) {
		return
	}
	s.fault = fault
	if log := m.log.WithField("host", s.host); fault != "" {
		log.WithField("error", fault).Warn("gossip: a name to join does not resolve; trying on")
	} else {
		log.Info("gossip: a name to join resolves again")
	}
}

// joinAll joins all addresses that are not members, some at a time: most are
// members already once the first few answered.
func (m *Mesh) joinAll(ctx context.Context, seeds []*seed) {
	var joins sync.WaitGroup
	defer joins.Wait()
	places := make(chan struct{}, joinsAtOnce)
	for _, address := range m.candidates(seeds) {
		select {
		case <-ctx.Done():
			return
		case places <- struct{}{}:
		}
		joins.Go(func() {
			defer func() { <-places }()
			m.joinOne(address)
		})
	}
}

// candidates are all addresses of the seeds but ours, once each, in random order.
func (m *Mesh) candidates(seeds []*seed) []netip.AddrPort {
	unique := map[netip.AddrPort]bool{}
	for _, s := range seeds {
		for _, a := range s.addrs {
			if a != m.address {
				unique[a] = true
			}
		}
	}
	all := slices.SortedFunc(maps.Keys(unique), netip.AddrPort.Compare)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

func (m *Mesh) joinOne(address netip.AddrPort) {
	m.mu.Lock()
	member, before := m.peers.at(address), m.peers.count()
	m.mu.Unlock()
	if member {
		return
	}
	if _, err := m.list.Join([]string{address.String()}); err != nil {
		m.log.WithError(err).WithField("address", address).Debug("gossip: join")
		return
	}
	if after := m.count(); after > before { // else it is known, or this one, by another address
		m.log.WithFields(logrus.Fields{"address": address, "peers": after}).Info("gossip: joined")
	}
}

func (m *Mesh) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.peers.count()
}

func (m *Mesh) alone() bool { return m.count() == 0 }

// jittered spreads sidecars that started together.
func (m *Mesh) jittered(d time.Duration) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return d - time.Duration(m.rng.Int64N(int64(d)/5+1))
}
