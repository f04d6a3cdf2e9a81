package health

// claims is what peers say about a backend. Nobody fills it in yet: it is the
// place where shared health joins, and verdict knows the rule already.
type claims struct {
	Down bool // somebody believable says that it is down, and we did not refute it
}

// verdict is the one place that decides. Our own evidence comes first: what we
// saw down is down, by checks or by requests alone, and neither can make up for the
// other. A peer's claim counts as one piece towards fall, but only
// beside at least one piece of our own; alone it raises suspicion.
func verdict(own Streak, requests stage, peers claims) State {
	switch {
	case own.Down, requests == ejected:
		return Down
	case peers.Down && own.Bad > 0 && own.Bad+1 >= own.Fall:
		return Down
	case requests == trying:
		return Trial
	case peers.Down:
		return Suspect
	}
	return Up
}
