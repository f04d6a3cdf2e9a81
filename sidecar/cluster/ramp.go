package cluster

import "time"

// rampSteps is how many steps a slow start has. The first is the smallest share.
const rampSteps = 20

// rampStep is how far a slow start that takes so long has come after elapsed, 1
// to rampSteps.
func rampStep(elapsed, slowStart time.Duration) int {
	if elapsed >= slowStart {
		return rampSteps
	}
	return max(1, int(int64(rampSteps)*int64(elapsed)/int64(slowStart)))
}

// ramped are the members with the shares that their slow starts allow now. The
// caller holds c.mu.
func (c *Cluster) ramped(now time.Time) []share {
	slowStart := c.policy.Load().SlowStart
	c.steps = c.steps[:0]
	ramping := false
	for _, m := range c.members {
		step := rampSteps
		if !m.backend.ramp.IsZero() {
			step = rampStep(now.Sub(m.backend.ramp), slowStart)
		}
		if step == rampSteps {
			m.backend.ramp = time.Time{}
		}
		c.steps = append(c.steps, step)
		ramping = ramping || step < rampSteps
	}
	if !ramping {
		return c.members
	}
	shares := make([]share, len(c.members))
	for i, m := range c.members {
		shares[i] = m.part(c.steps[i])
	}
	return shares
}

// rotate works out anew who takes turns. The caller holds c.mu.
func (c *Cluster) rotate(now time.Time) { c.rotation.Store(newRotation(c.ramped(now))) }

// Tick moves on what time alone changes: slow starts, and the window of the retry
// budget. It must be called about once a second.
func (c *Cluster) Tick() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.budget.tick(c.turn.Load())
	now, slowStart := time.Now(), c.policy.Load().SlowStart
	for i, m := range c.members {
		if !m.backend.ramp.IsZero() && rampStep(now.Sub(m.backend.ramp), slowStart) != c.steps[i] {
			c.rotate(now)
			return
		}
	}
}
