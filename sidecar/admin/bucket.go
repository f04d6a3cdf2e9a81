package admin

import (
	"sync"
	"time"
)

const wrongsPerSecond = 10

// bucket is a token bucket: it lets ten things happen at once, and ten more with
// every second. The zero value is full.
type bucket struct {
	mu    sync.Mutex
	spent float64
	at    time.Time // when spent was right
}

// has reports whether one more may happen now.
func (b *bucket) has() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.drip()
	return b.spent <= wrongsPerSecond-1
}

// take reports whether one more may happen now, and counts it if so.
func (b *bucket) take() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.drip()
	if b.spent > wrongsPerSecond-1 {
		return false
	}
	b.spent++
	return true
}

// drip forgets what is long ago.
func (b *bucket) drip() {
	now := time.Now()
	b.spent = max(0, b.spent-now.Sub(b.at).Seconds()*wrongsPerSecond)
	b.at = now
}
