package scripting
import ("testing";"time";"strings")
func TestTmp(t *testing.T) {
	for _, n := range []int{10000, 20000, 50000} {
	for name, code := range map[string]string{
		"unary":     "let x = " + strings.Repeat("!", n-10) + "1",
		"plus":      "let x = 1" + strings.Repeat("+1", n-10),
		"members":   "let f = () => a" + strings.Repeat(".b", n-10),
		"calls":   "let f = () => a" + strings.Repeat("()", n/2-10),
		"ternaries": "let x = 1" + strings.Repeat("?1:1", n/2-10),
		"ternariesx": "let f = (x) => x" + strings.Repeat("?x:x", n/2-10),
		"else ifs":  strings.Repeat("if(1){}else ", n/6) + "{}",
		"arrows":    "let x = " + strings.Repeat("a=>", n/2-10) + "1",
		"paren":    "let x = " + strings.Repeat("(", 900) + "1"+strings.Repeat(")", 900),
		"parenarrow":    "let x = " + strings.Repeat("(a=", 900) + "1"+strings.Repeat(")=>1", 900),
	} {
		s, err := newSource(Source{Name:"x", Code:[]byte(code)})
		if err != nil { t.Log(name, err); continue }
		b := time.Now()
		_, _, err = s.compile()
		t.Logf("%d %s %v %.80v", n, name, time.Since(b), err)
	}}
}
