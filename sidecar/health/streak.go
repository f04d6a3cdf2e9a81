package health

// Streak counts results in a row: Fall bad ones turn it down, Rise good ones
// turn it up again, and a result of the other kind starts the count anew. It is
// a plain value; Next does not change its receiver. Thresholds below 1 count
// as 1. The zero value is up.
type Streak struct {
	Rise, Fall int
	Down       bool
	Good, Bad  int // results in a row up to now, one of them zero; each counts no further than its threshold
}

// Next is the streak after one more result.
func (s Streak) Next(ok bool) Streak {
	if ok {
		s.Bad, s.Good = 0, min(s.Good+1, max(s.Rise, 1))
		s.Down = s.Down && s.Good < max(s.Rise, 1)
		return s
	}
	s.Good, s.Bad = 0, min(s.Bad+1, max(s.Fall, 1))
	s.Down = s.Down || s.Bad >= max(s.Fall, 1)
	return s
}

// With is the same streak under other thresholds. It does not turn by itself:
// only a result does that.
func (s Streak) With(rise, fall int) Streak {
	s.Rise, s.Fall = rise, fall
	s.Good, s.Bad = min(s.Good, max(rise, 1)), min(s.Bad, max(fall, 1))
	return s
}

// OnTrial is up again, but the next bad result turns it down.
func (s Streak) OnTrial() Streak {
	s.Down, s.Good, s.Bad = false, 0, max(s.Fall, 1)-1
	return s
}
