package telemetry

// Peers are the other sidecars, as this one sees them.
type Peers struct {
	Serving  int // alive, and not draining
	Draining int
	Scripts  int               // different versions of the routing script that run, this sidecar's own among them
	Rejected map[string]uint64 // what came from the network and was not taken, by reason
	OnlyTCP  uint64            // pings that TCP carried because UDP did not
	Claims   int               // of peers that something is down
}

//nolint:gochecknoglobals // immutable
var (
	members   = describe("gossip_members", "Peers that are alive, by whether they ask for new requests.", "state")
	scripts   = describe("gossip_script_versions", "Different versions of the routing script among this sidecar and its peers.")
	rejected  = describe("gossip_rejected_total", "Messages and claims from the network that were not taken, by reason.", "reason")
	onlyTCP   = describe("gossip_tcp_pings_total", "Pings of peers that UDP did not carry and TCP did: something on the way blocks UDP.")
	downHeard = describe("gossip_down_claims", "Claims of peers that a backend is down.")
)

func (c collection) peers(p *Peers) {
	c.gauge(members, float64(p.Serving), "serving")
	c.gauge(members, float64(p.Draining), "draining")
	c.gauge(scripts, float64(p.Scripts))
	for reason, n := range p.Rejected {
		c.count(rejected, n, reason)
	}
	c.count(onlyTCP, p.OnlyTCP)
	c.gauge(downHeard, float64(p.Claims))
}
