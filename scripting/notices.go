package scripting

import (
	"sync"
	"time"
)

const (
	noticeEvery = time.Minute
	maxNotices  = 1000 // a client may make up names: beyond this many, nothing is said until the oldest expire
)

// notices remember what a script's log has said, so that it says it once, or once
// per minute.
type notices struct {
	mu   sync.Mutex
	said map[string]time.Time
}

func newNotices() *notices { return &notices{said: make(map[string]time.Time)} }

// first reports whether key has not been said before.
func (n *notices) first(key string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	key = shorten(key, maxName)
	if _, ok := n.said[key]; ok || len(n.said) >= maxNotices {
		return false
	}
	n.said[key] = time.Time{}
	return true
}

// due reports whether key has not been said for a minute.
func (n *notices) due(key string, now time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	key = shorten(key, maxName)
	last, ok := n.said[key]
	if ok && now.Sub(last) < noticeEvery || !ok && len(n.said) >= maxNotices && !n.forget(now) {
		return false
	}
	n.said[key] = now
	return true
}

// forget makes room by dropping what may be said again.
func (n *notices) forget(now time.Time) bool {
	for key, last := range n.said {
		if !last.IsZero() && now.Sub(last) >= noticeEvery {
			delete(n.said, key)
		}
	}
	return len(n.said) < maxNotices
}
