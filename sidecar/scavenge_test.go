package main

import "testing"

func TestMemoryIsGivenBackWhenACrowdHasLeft(t *testing.T) {
	const mega = 1 << 20
	s := scavenger{allocated: 100 * mega, kept: 20 * mega}
	for _, row := range []struct {
		why  string
		now  footprint
		kept uint64 // by then; 0: as it was
		want bool
	}{
		{"nothing has happened", footprint{20 * mega, 100 * mega}, 0, false},
		{"a crowd is here", footprint{60 * mega, 180 * mega}, 0, false},
		{"it has left", footprint{60 * mega, 181 * mega}, 0, true},
		{"all was given back", footprint{22 * mega, 181 * mega}, 22 * mega, false},
		{"too little to be worth while", footprint{29 * mega, 182 * mega}, 0, false},
		{"the runtime has given back itself", footprint{10 * mega, 183 * mega}, 0, false},
		{"measured by the least since", footprint{18 * mega, 184 * mega}, 0, true},
		{"a large process", footprint{1000 * mega, 185 * mega}, 900 * mega, false},
		{"a large process that has grown", footprint{1125 * mega, 186 * mega}, 0, true},
	} {
		if row.kept > 0 {
			s.kept = row.kept
		}
		if got := s.due(row.now); got != row.want {
			t.Errorf("%s: due is %t", row.why, got)
		}
	}
}

func TestTheFootprintIsThatOfThisProcess(t *testing.T) {
	before := currentFootprint()
	kept := make([]byte, 64<<20)
	for i := range kept {
		kept[i] = 1
	}
	after := currentFootprint()
	if after.allocated-before.allocated < uint64(len(kept)) || after.held < uint64(len(kept)) {
		t.Errorf("64 MiB more made %+v out of %+v", after, before)
	}
}
