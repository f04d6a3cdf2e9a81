package gossip

import (
	"testing"

	"github.com/sirupsen/logrus"
	"github.com/sirupsen/logrus/hooks/test"
)

func TestTheLogTellsOfTroubleThatIsNotOurOwnEnd(t *testing.T) {
	for line, want := range map[string]int{
		"[WARN] memberlist: Refuting a suspect message\n":                                                             1,
		"[ERR] memberlist: Failed to send gossip to 127.0.0.1:1: write udp 127.0.0.1:2: sendto: no route to host\n":   1,
		"[ERR] memberlist: Failed to send gossip to 127.0.0.1:1: write udp: use of closed network connection\n":       0,
		"[DEBUG] memberlist: Stream connection from=127.0.0.1:1\n":                                                    0,
		"[ERR] memberlist: Decrypt packet failed: no installed keys could decrypt the message from=127.0.0.1:1\n":     1,
		"[ERR] memberlist: failed to receive: no installed keys could decrypt the message from=127.0.0.1:1 (again)\n": 1,
	} {
		log, told := test.NewNullLogger()
		log.SetLevel(logrus.InfoLevel)
		if _, err := newJournal(log).Write([]byte(line)); err != nil || len(told.AllEntries()) != want {
			t.Errorf("%q: %d lines, want %d (%v)", line, len(told.AllEntries()), want, err)
		}
	}
}
