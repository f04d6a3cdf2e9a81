package warning_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/sirupsen/logrus/hooks/test"

	"outrider/sidecar/warning"
)

func TestAWarningIsWrittenAtOnceAndThenCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, written := test.NewNullLogger()
		w := warning.New(log)
		for range 5 {
			w.Warn("a", logrus.Fields{"n": 1}, "a happened")
		}
		w.Warn("b", nil, "b happened")
		if n := len(written.AllEntries()); n != 2 {
			t.Fatalf("%d lines, want one for a and one for b", n)
		}
		time.Sleep(warning.Every)
		w.Warn("a", nil, "a happened")
		if got := written.LastEntry().Data["repeated"]; got != 4 {
			t.Errorf("repeated = %v, want the 4 that were left out", got)
		}
	})
}
