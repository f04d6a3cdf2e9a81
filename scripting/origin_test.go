package scripting

import (
	"testing"
	"unicode/utf8"
)

const mapOfTwo = `{"version":3,"sources":["lib/a.ts","route.ts"],"sourcesContent":["export const ü = '😀'; ü()","ü();\n😀"],"names":[],"mappings":"AAAO,MAAM,IAAI;ACAjB,GAAG;AACH"}`

func TestAnOriginCountsCharacters(t *testing.T) {
	o, err := newOrigin([]byte(mapOfTwo))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		line, units int
		want        string
		text        string
	}{
		{1, 0, "lib/a.ts:1:8", "export const ü = '😀'; ü()"},
		{2, 0, "route.ts:1:1", "ü();"},
		{3, 0, "route.ts:2:1", "😀"},
		{2, 2, "route.ts:1:1", "ü();"},
		{9, 0, ":0:0", ""},
	} {
		at := o.position(c.line, c.units)
		if at.String() != c.want || at.line > 0 && o.line(at) != c.text {
			t.Errorf("%d:%d came from %s, %q; want %s, %q", c.line, c.units, at, o.line(at), c.want, c.text)
		}
	}
}

// A source map may come out of a state directory that somebody has edited.
func FuzzSourceMapNeverHarms(f *testing.F) {
	f.Add(mapOfTwo, "a\nü", 2, 1)
	f.Add(`{"version":3,"sources":["a"],"sourcesContent":["a"],"mappings":"AAAA;;gggggggggggggB"}`, "a", 3, 0)
	f.Add(`{"version":3,"sources":["a"],"sourcesContent":["a"],"mappings":"A,CAAA,CADA"}`, "", 1, 1)
	f.Add(`{"version":3,"sources":[],"sourcesContent":[],"mappings":"AAAA"}`, "", 1, 0) // a source that is not there
	f.Fuzz(func(t *testing.T, text, code string, line, units int) {
		s, err := newSource(Source{Name: "route.js", Code: []byte(code), Map: []byte(text)})
		if err != nil || s.origin == nil {
			return
		}
		at := s.origin.position(line, units)
		if at.line < 0 || at.column < 0 {
			t.Errorf("%v", at)
		}
		if fault := s.fault(at, "x").Error(); utf8.ValidString(text) && fault == "" {
			t.Error("no message")
		}
	})
}
