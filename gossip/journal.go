package gossip

import (
	"maps"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
)

// journal counts what was rejected, by reason, and tells the log: of each reason
// once a minute. It is the io.Writer that memberlist logs to as well, which says
// only there that it refused a packet.
type journal struct {
	log logrus.FieldLogger

	mu     sync.Mutex
	counts map[Reason]uint64
	tcp    uint64 // pings that only TCP has carried
	told   map[Reason]time.Time
}

func newJournal(log logrus.FieldLogger) *journal {
	return &journal{log: log, counts: map[Reason]uint64{}, told: map[Reason]time.Time{}}
}

func (j *journal) reject(r Reason, detail string) {
	j.mu.Lock()
	j.counts[r]++
	count, due := j.counts[r], time.Since(j.told[r]) >= time.Minute
	if due {
		j.told[r] = time.Now()
	}
	j.mu.Unlock()
	if due {
		j.log.WithFields(logrus.Fields{"reason": r, "count": count, "detail": detail}).
			Warn("gossip: rejected what came from the network; more of it is only counted for a minute")
	}
}

func (j *journal) rejected() map[Reason]uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return maps.Clone(j.counts)
}

// Write takes one line of memberlist's log: "... [LEVEL] memberlist: text".
func (j *journal) Write(line []byte) (int, error) {
	_, rest, _ := strings.Cut(string(line), "[")
	level, text, _ := strings.Cut(rest, "] ")
	text = strings.TrimSpace(strings.TrimPrefix(text, "memberlist: "))
	if strings.Contains(text, "over TCP but UDP probes failed") {
		j.mu.Lock()
		j.tcp++
		j.mu.Unlock()
	}
	if r := reasonOf(text); r != "" {
		j.reject(r, text)
		return len(line), nil
	}
	trouble := level == "ERR" || level == "ERROR" || level == "WARN"
	if ourEnd := strings.Contains(text, net.ErrClosed.Error()); trouble && !ourEnd {
		j.log.Warn("gossip: ", text)
	} else { // it is talkative, and what matters to us we tell ourselves
		j.log.Debug("gossip: ", text)
	}
	return len(line), nil
}

func (j *journal) onlyTCP() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.tcp
}

func reasonOf(text string) Reason {
	for _, known := range []struct {
		part   string
		reason Reason
	}{
		{"Decrypt packet failed", Undecryptable},
		{"no installed keys could decrypt", Undecryptable},
		{"encryption is configured but remote state is not encrypted", Undecryptable},
		{"remote state is encrypted and encryption is not configured", Undecryptable},
		{"unacceptable label", ForeignLabel},
		{"cannot decode label", Malformed},
		{"label header cannot be empty", Malformed},
		{"Got invalid checksum", Malformed},
		{"missing message type byte", Malformed},
		{"Failed to decode", Malformed},
		{"truncated messages", Malformed},
		{"exceeds limit", Oversized},
		{"larger than limit", Oversized},
		{"handler queue full", Overload},
		{"not supported", UnknownType},
		{"Received invalid msgType", UnknownType},
	} {
		if strings.Contains(text, known.part) {
			return known.reason
		}
	}
	return ""
}
