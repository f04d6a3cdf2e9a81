package health

import (
	"fmt"
	"strings"
)

// maxReasons is how many different reasons a line of the log names.
const maxReasons = 3

// reasons are those of a run of bad results, in their order; the same one
// several times in a row is counted. Only the last few kinds are kept.
type reasons []counted

type counted struct {
	reason string
	times  int
}

func (r reasons) add(reason string) reasons {
	if last := len(r) - 1; last >= 0 && r[last].reason == reason {
		r[last].times++
		return r
	}
	if len(r) == maxReasons {
		r = append(r[:0], r[1:]...)
	}
	return append(r, counted{reason, 1})
}

// String lists them: "refused, 2x timeout after 1s".
func (r reasons) String() string {
	said := make([]string, len(r))
	for i, c := range r {
		said[i] = c.reason
		if c.times > 1 {
			said[i] = fmt.Sprintf("%dx %s", c.times, c.reason)
		}
	}
	return strings.Join(said, ", ")
}
