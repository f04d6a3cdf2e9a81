package app

import "slices"

// change is a part of a reload that was prepared: what may go wrong has gone well.
// One of its two ends is called, once.
type change struct {
	apply func()
	undo  func()
}

// changes are parts that belong together: all are applied, or none.
type changes []change

func (cs *changes) add(apply, undo func()) { *cs = append(*cs, change{apply, undo}) }

// apply carries them out, in the order in which they were prepared.
func (cs changes) apply() {
	for _, c := range cs {
		c.apply()
	}
}

// undo takes them back, the last one first.
func (cs changes) undo() {
	for _, c := range slices.Backward(cs) {
		c.undo()
	}
}
