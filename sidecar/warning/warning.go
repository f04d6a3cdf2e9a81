// Package warning writes what somebody must know, but not a thousand times a
// second.
package warning

import (
	"sync"
	"time"

	"github.com/sirupsen/logrus"
)

// Every is how often the same warning is written at most.
const Every = 10 * time.Second

// maxKeys bounds the warnings that are told apart; what goes beyond is one.
const maxKeys = 1024

// Log writes each warning at once when it is new, and then at most once in
// [Every], with how often it was left out since. Its methods may be called from
// any goroutine.
type Log struct {
	log   logrus.FieldLogger
	mu    sync.Mutex // guards about
	about map[string]*state
}

type state struct {
	last   time.Time
	passed int
}

// New makes a Log that writes to log.
func New(log logrus.FieldLogger) *Log {
	return &Log{log: log, about: make(map[string]*state)}
}

// Warn writes the message. Warnings are the same when their keys are.
func (l *Log) Warn(key string, fields logrus.Fields, message string) {
	passed, due := l.due(key)
	if !due {
		return
	}
	entry := l.log.WithFields(fields)
	if passed > 0 {
		entry = entry.WithField("repeated", passed)
	}
	entry.Warn(message)
}

func (l *Log) due(key string) (passed int, due bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	about := l.about[key]
	if about == nil {
		if len(l.about) >= maxKeys {
			clear(l.about)
		}
		about = new(state)
		l.about[key] = about
	}
	if !about.last.IsZero() && time.Since(about.last) < Every {
		about.passed++
		return 0, false
	}
	passed = about.passed
	*about = state{last: time.Now()}
	return passed, true
}
