package gossip

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"
)

// Info is what a sidecar tells of itself: at most 64 bytes for each string.
type Info struct {
	Version  string // of the program
	Script   string // hash of the active script
	Config   string // hash of the active configuration
	Fronts   string // what it stands before: "10.0.0.7:8080"; empty: nothing
	Draining bool   // about to leave; see also the State of that name
}

// MaxInfo bounds the strings of an Info: all of them fit into memberlist's 512
// bytes of metadata.
const MaxInfo = 64

func (i Info) validate() error {
	for name, s := range map[string]string{"version": i.Version, "script's hash": i.Script, "config's hash": i.Config, "address in front": i.Fronts} {
		if len(s) > MaxInfo {
			return fmt.Errorf("gossip: the %s has %d bytes, at most %d can be told to peers", name, len(s), MaxInfo)
		}
	}
	return nil
}

// Peer is another sidecar, as this one sees it.
type Peer struct {
	Name     string         // as its operator gave it; two may have the same
	ID       string         // the name and a random suffix, new at each start
	Address  netip.AddrPort // where it is reached
	Observer Observer       // who it is in claims; 0 when its metadata cannot be read
	Info     Info
	Since    time.Time // when this sidecar first saw it alive
}

// Metadata is
//
//	version(1) observer(8) flags(1) version, script, config, fronts, each: length(1) text
//
// What follows is a later version's, and is ignored.
const flagDraining = 1

func encodeMeta(o Observer, i Info) []byte {
	b := binary.BigEndian.AppendUint64([]byte{wireVersion}, uint64(o))
	var flags byte
	if i.Draining {
		flags |= flagDraining
	}
	b = append(b, flags)
	for _, s := range []string{i.Version, i.Script, i.Config, i.Fronts} {
		b = appendString(b, s)
	}
	return b
}

func decodeMeta(b []byte) (o Observer, i Info, ok bool) {
	if len(b) < 10 || b[0] != wireVersion {
		return 0, Info{}, false
	}
	o, i.Draining = Observer(binary.BigEndian.Uint64(b[1:])), b[9]&flagDraining != 0
	b = b[10:]
	for _, s := range []*string{&i.Version, &i.Script, &i.Config, &i.Fronts} {
		if *s, b, ok = cutString(b); !ok {
			return 0, Info{}, false
		}
	}
	return o, i, i.validate() == nil
}
