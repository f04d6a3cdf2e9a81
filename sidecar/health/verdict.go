package health

// claims is what peers' claims amount to for a backend.
type claims struct {
	Down     bool // somebody says that it is down, and is listened to
	Doubt    bool // since then no check of ours has looked
	Draining bool // its owner asks for no new requests
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
	case peers.Draining:
		return Draining
	case peers.Doubt:
		return Suspect
	}
	return Up
}
