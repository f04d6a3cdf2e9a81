package demo

import (
	"fmt"
	"sync"
	"time"
)

// witness knows when a backend broke, and so how long each sidecar takes to turn
// away from it.
type witness struct {
	mu       sync.Mutex // guards what follows
	breakage map[string]*breakage
}

type breakage struct {
	at    time.Time
	first string // the sidecar that turned away first
	then  time.Time
	told  map[string]bool // sidecars
}

func newWitness() *witness { return &witness{breakage: make(map[string]*breakage)} }

func (w *witness) broke(address string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.breakage[address] = &breakage{at: time.Now(), told: make(map[string]bool)}
}

func (w *witness) mended(address string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.breakage, address)
}

// turned tells how long it took a sidecar to turn away from a backend, the first time
// that it does since the backend broke; else it is empty.
func (w *witness) turned(sidecar, address string, at time.Time) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	b := w.breakage[address]
	if b == nil || b.told[sidecar] {
		return ""
	}
	b.told[sidecar] = true
	told := fmt.Sprintf(", %s after it broke", milliseconds(at.Sub(b.at)))
	if b.first == "" {
		b.first, b.then = sidecar, at
		return told
	}
	return fmt.Sprintf("%s and %s after %s", told, milliseconds(at.Sub(b.then)), b.first)
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
}
