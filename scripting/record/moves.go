package record

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Moves counts what becomes of recorded requests.
type Moves struct {
	Compared int
	Moved    int // that go elsewhere
	Unknown  int // of which that can not be told
	By       map[Move]int
	Samples  map[Move][]string // the ids of some requests, or their paths where those were read
	Wanted   map[string]int    // what would have to be known of the unknown: "req.path"
}

// A Move is a change of target.
type Move struct{ From, To string }

// maxSamples is how many requests stand for all that make the same move.
const maxSamples = 3

// Note counts one comparison of what was decided with what would be.
func (m *Moves) Note(e *Entry, again Replay) {
	m.Compared++
	if len(again.Unknown) > 0 {
		m.Unknown++
		if m.Wanted == nil {
			m.Wanted = make(map[string]int)
		}
		for _, what := range again.Unknown {
			m.Wanted[what]++
		}
		return
	}
	m.add(e.Decision, again.Decision, e.label())
}

// Add counts a comparison of two decisions on one request. It reports whether they
// lead to different targets.
func (m *Moves) Add(decided, would Decision, label string) (moved bool) {
	m.Compared++
	return m.add(decided, would, label)
}

func (m *Moves) add(decided, would Decision, label string) (moved bool) {
	move := Move{decided.Target(), would.Target()}
	if move.From == move.To {
		return false
	}
	m.Moved++
	if m.By == nil {
		m.By, m.Samples = make(map[Move]int), make(map[Move][]string)
	}
	m.By[move]++
	if len(m.Samples[move]) < maxSamples {
		m.Samples[move] = append(m.Samples[move], label)
	}
	return true
}

// Clone is a copy that shares nothing.
func (m *Moves) Clone() Moves {
	c := *m
	c.By, c.Wanted = maps.Clone(m.By), maps.Clone(m.Wanted)
	c.Samples = make(map[Move][]string, len(m.Samples))
	for move, samples := range m.Samples {
		c.Samples[move] = slices.Clone(samples)
	}
	return c
}

// label names a request for people.
func (e *Entry) label() string {
	if e.Read.Path == nil {
		return e.ID
	}
	label := *e.Read.Path
	if e.Read.Method != nil {
		label = *e.Read.Method + " " + label
	}
	return label
}

// Share is the part of the requests that move, among those of which it is known,
// 0 to 1.
func (m *Moves) Share() float64 {
	if m.Compared == m.Unknown {
		return 0
	}
	return float64(m.Moved) / float64(m.Compared-m.Unknown)
}

// String is "of the last 1,000 requests 17 move: 12 two->one, 5 one->two".
func (m *Moves) String() string {
	var text strings.Builder
	fmt.Fprintf(&text, "of the last %s requests %s", thousands(m.Compared), moved(m.Moved))
	separator := ":"
	for _, move := range m.Most() {
		fmt.Fprintf(&text, "%s %s %s->%s", separator, thousands(m.By[move]), move.From, move.To)
		separator = ","
	}
	if m.Unknown > 0 {
		fmt.Fprintf(&text, "; of %s it is not known: they were recorded without what it reads", thousands(m.Unknown))
	}
	return text.String()
}

func moved(n int) string {
	switch n {
	case 0:
		return "none moves"
	case 1:
		return "1 moves"
	}
	return thousands(n) + " move"
}

// Most are the moves, the most frequent first.
func (m *Moves) Most() []Move {
	moves := make([]Move, 0, len(m.By))
	for move := range m.By {
		moves = append(moves, move)
	}
	slices.SortFunc(moves, func(a, b Move) int {
		if m.By[a] != m.By[b] {
			return m.By[b] - m.By[a]
		}
		return strings.Compare(a.From+a.To, b.From+b.To)
	})
	return moves
}

// thousands writes 1000 as 1,000.
func thousands(n int) string {
	if n < 1000 {
		return strconv.Itoa(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}
