package scripting

import (
	"fmt"
	"sync"
	"time"

	"github.com/dlclark/regexp2/v2"
)

// Regular expressions that RE2 cannot run, and some uses of those it can, run in
// regexp2, which an interrupt cannot stop. Its only limit is per process: a
// package variable that has to be set before the first expression is compiled.
// regexp2 answers "no match" when it gives up, so the limit lies above the
// deadline of every script: by then the watchdog has interrupted the call, and the
// wrong answer is never used.
const (
	regexpSlack = 20 * time.Millisecond
	regexpTick  = 5 * time.Millisecond // of regexp2's own clock; its default would round 100 ms up to 200
)

//nolint:gochecknoglobals // guards regexp2's package variable, which can be set only once
var regexpLimit struct {
	once    sync.Once
	timeout time.Duration // the longest deadline of a script; immutable once set
}

// limitRegexps sets regexp2's limit for the process at the first load: to suit
// the timeout of that script, or the default where that is longer. A script with
// a longer one cannot be loaded afterwards.
func limitRegexps(timeout time.Duration) error {
	regexpLimit.once.Do(func() {
		regexpLimit.timeout = max(timeout, defaultTimeout)
		regexp2.SetTimeoutCheckPeriod(regexpTick)
		regexp2.DefaultMatchTimeout = regexpLimit.timeout + regexpSlack
	})
	if timeout > regexpLimit.timeout {
		return fmt.Errorf("load script: a timeout of %v takes a restart, since this process began with %v", timeout, regexpLimit.timeout)
	}
	return nil
}
