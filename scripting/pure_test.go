package scripting

import (
	"fmt"
	"net/url"
	"path"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestHashNeverChanges(t *testing.T) {
	for text, want := range map[string]string{
		"":              "0.93676944839043996",
		"a":             "0.51029451765657108",
		"alice":         "0.20715047597194325",
		"bob":           "0.96205462000707087",
		"192.0.2.7":     "0.8907594700021928",
		"user-12345678": "0.99818365816041832",
		"ümläut €":      "0.95172967287471988",
	} {
		if got := fmt.Sprintf("%.17g", hash(text)); got != want {
			t.Errorf("hash(%q) = %s, want %s", text, got, want)
		}
	}
}

func TestHashSpreadsEvenly(t *testing.T) {
	for _, pattern := range []string{"user-%d", "%d", "10.0.%d.1", "%08d-session"} {
		var buckets [20]int
		const n = 100_000
		for i := range n {
			buckets[int(hash(fmt.Sprintf(pattern, i))*20)]++
		}
		for i, count := range buckets {
			if count < n/20*9/10 || count > n/20*11/10 {
				t.Errorf("%s: bucket %d has %d of %d", pattern, i, count, n)
			}
		}
	}
}

func TestCleanPath(t *testing.T) {
	for raw, want := range map[string]string{
		"/": "/", "/a/b": "/a/b", "/a/b/": "/a/b/", "*": "*", "example.com:443": "example.com:443", "": "",
		"/a//b": "/a/b", "//": "/", "/./": "/", "/..": "/", "/../x": "/x", "/a/..": "/", "/a/b/..": "/a/", "/a/b/.": "/a/b/",
		"/a/%2e%2e/b": "/b", "/a/%2E./b": "/b", "/%61dmin": "/admin", "/a%2fb": "/a%2Fb", "/a/%2F/b": "/a/%2F/b",
		"/%": "/%", "/%4": "/%4", "/%zz": "/%zz", "/%25%36%31": "/%2561", "/.hidden": "/.hidden", "/...": "/...", "/a/./../b//": "/b/",
	} {
		if got := cleanPath(raw); got != want {
			t.Errorf("cleanPath(%q) = %q, want %q", raw, got, want)
		}
	}
}

func TestCleanPathIsIdempotentAndAgreesWithTheLibrary(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw := "/" + strings.Join(rapid.SliceOf(rapid.SampledFrom([]string{"a", "/", ".", "..", "%2e", "%2F", "%", "%41", "ü", "%c3", "~", "%7e", "2", "e"})).Draw(t, "parts"), "")
		clean := cleanPath(raw)
		if again := cleanPath(clean); again != clean && !strings.Contains(raw, "%") {
			t.Fatalf("%q -> %q -> %q", raw, clean, again)
		}
		for _, bad := range []string{"//", "/./", "/../", "%2e", "%2E", "%41"} {
			if strings.Contains(clean, bad) && !strings.Contains(decodeUnreserved(raw), bad) {
				t.Fatalf("%q -> %q holds %q", raw, clean, bad)
			}
		}
		library := path.Clean(decodeUnreserved(raw))
		if trimmed := strings.TrimSuffix(clean, "/"); trimmed != strings.TrimSuffix(library, "/") {
			t.Fatalf("%q -> %q, path.Clean says %q", raw, clean, library)
		}
	})
}

// The examples of the Unicode standard, chapter 3, table 3-8 and after.
func TestWhatIsNoUTF8IsReplacedAsTheWebDoes(t *testing.T) {
	const r = "\uFFFD"
	for broken, want := range map[string]string{
		"a\xe2\x82b":           "a" + r + "b",
		"\xff\xff":             r + r,
		"\x80":                 r,
		"\xc0\xaf\xe0\x80":     r + r + r + r,
		"\xed\xa0\x80":         r + r + r,
		"\xf4\x91\x92\x93":     r + r + r + r,
		"\xf0\x9f\x98\xc3":     r + r,
		"\xe1\x80\xe2\xf0\x91": r + r + r,
		"\xf1\x80\x80\x80\x41": "\U00040000A",
		"\xc3\xa9\uFFFD":       "\u00e9" + r,
	} {
		if got := validText(broken); got != want {
			t.Errorf("%q is %q, want %q", broken, got, want)
		}
	}
}

func FuzzQuery(f *testing.F) {
	for _, seed := range []string{"", "a=1&b=2", "a+b=%20", "%", "%zz=&&=", "a=%c3%a9%ff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		got := appendQuery(nil, raw)
		want, err := url.ParseQuery(raw)
		if err != nil { // net/url refuses what URLSearchParams takes
			return
		}
		count := 0
		for name, values := range want {
			for i, value := range values {
				if find(got, validText(name), i) == nil || *find(got, validText(name), i) != validText(value) {
					if len(want) == len(names(got)) { // distinct invalid bytes may fall together
						t.Fatalf("%q: %q[%d] = %v, want %q", raw, name, i, find(got, name, i), value)
					}
				}
				count++
			}
		}
		if count != len(got) {
			t.Fatalf("%q: %d pairs, want %d", raw, len(got), count)
		}
	})
}

func find(pairs []pair, name string, nth int) *string {
	for _, p := range pairs {
		if p.name == name {
			if nth == 0 {
				return &p.value
			}
			nth--
		}
	}
	return nil
}

func names(pairs []pair) map[string]bool {
	distinct := make(map[string]bool)
	for _, p := range pairs {
		distinct[p.name] = true
	}
	return distinct
}

func FuzzSourceNeverHarmsTheParser(f *testing.F) {
	for _, seed := range []string{"function route() { return `a${1}` }", "a/b/c", "/[/]/", "'", "`${`", "//x\n/*", "}}}}", "x = a\n/re/.test()"} {
		f.Add(seed)
	}
	f.Fuzz(func(_ *testing.T, code string) {
		s, err := newSource(Source{Name: "fuzz.js", Code: []byte(code)})
		if err != nil {
			_ = err.Error()
			return
		}
		if _, _, err := s.compile(true, false); err != nil {
			_ = err.Error()
		}
	})
}

func TestSuggestionsAreNear(t *testing.T) {
	known := []string{"path", "method", "one", "two", "three"}
	for wrong, want := range map[string]string{
		"pathh": "path", "Path": "path", "pth": "path", "tow": "two", "owt": "", "on": "one", "tree": "three", "zzz": "", "": "",
		strings.Repeat("x", 1000): "",
	} {
		if want != "" {
			want = fmt.Sprintf("; did you mean %q?", want)
		}
		if got := didYouMean(wrong, known); got != want {
			t.Errorf("%.20q: %q, want %q", wrong, got, want)
		}
	}
}

func TestNoticesComeOncePerMinute(t *testing.T) {
	n := newNotices()
	at := time.Unix(1_000_000, 0)
	if !n.due("a", at) || n.due("a", at.Add(noticeEvery-1)) || !n.due("a", at.Add(noticeEvery)) || !n.due("b", at) {
		t.Error("wrong")
	}
	for i := range maxNotices * 2 {
		n.due(fmt.Sprint(i), at)
	}
	if len(n.said) != maxNotices || n.due("late", at) || !n.due("late", at.Add(2*noticeEvery)) {
		t.Errorf("%d kept", len(n.said))
	}
}
