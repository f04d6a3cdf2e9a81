package cluster

import "slices"

// share is a backend and its weight, at least 1.
type share struct {
	backend *Backend
	weight  int
}

// part is the share of a backend that has come to step of rampSteps.
func (s share) part(step int) share { return share{s.backend, s.weight * step} }

// rotation is who takes turns, worked out once per change and never modified.
type rotation struct {
	members   []*Backend
	usable    int
	preferred sequence // whom to pick
	reserve   sequence // suspects, for requests that tried all the preferred
	last      sequence // draining ones, for requests that tried all those
}

// newRotation sorts the members by their state. The reserve stays empty when
// suspects are more than half of the usable backends: whoever spreads doubt
// about most of a cluster must not herd its load onto the rest. Who drains is picked
// when nobody else is left. With nothing usable all are preferred, for clusters
// that try anyway.
func newRotation(shares []share) *rotation {
	r := &rotation{members: make([]*Backend, 0, len(shares))}
	var trusted, suspects, draining []share
	for _, s := range shares {
		r.members = append(r.members, s.backend)
		switch s.backend.State() {
		case Up, Trial:
			trusted = append(trusted, s)
		case Suspect:
			suspects = append(suspects, s)
		case Draining:
			draining = append(draining, s)
		}
	}
	staying := len(trusted) + len(suspects)
	r.usable = staying + len(draining)
	switch {
	case r.usable == 0:
		r.preferred = newSequence(shares)
		return r
	case 2*len(suspects) > staying:
		r.preferred = newSequence(stayingOf(shares))
	default:
		r.preferred = newSequence(trusted)
		r.reserve = newSequence(suspects)
	}
	r.last = newSequence(draining)
	return r
}

// stayingOf are those that are neither down nor draining, in their order.
func stayingOf(shares []share) []share {
	return slices.DeleteFunc(slices.Clone(shares), func(s share) bool {
		return s.backend.State() == Down || s.backend.State() == Draining
	})
}
