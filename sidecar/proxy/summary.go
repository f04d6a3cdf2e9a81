package proxy

import (
	"time"

	"outrider/sidecar/cluster"
)

// Summary is what became of an exchange.
type Summary struct {
	Request  *Request
	Status   int // what the client was answered; 0: nothing
	Cluster  *cluster.Cluster
	Backend  *cluster.Backend // that answered, or was tried last
	Retries  int
	Outcome  string // of the decision, where it says more than the cluster
	Fault    *Fault // why no backend answered
	Duration time.Duration
}

func (x *exchange) summary() *Summary {
	return &Summary{
		Request: &x.view, Status: x.status, Cluster: x.decision.Cluster, Backend: x.up.backend,
		Retries: x.attempts, Outcome: x.decision.Outcome, Fault: x.fault, Duration: time.Since(x.started),
	}
}
