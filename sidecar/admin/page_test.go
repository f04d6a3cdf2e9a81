package admin

import (
	"io/fs"
	"regexp"
	"strings"
	"testing"
)

func TestThePagesComeWithoutATokenUnderAStrictPolicy(t *testing.T) {
	address := serve(t, Handler(Options{Sidecar: &far{}, Token: token, Log: silent()})) // not on loopback
	response, body := ask{path: "/"}.to(t, address)
	if response.StatusCode != 200 || !strings.Contains(body, "<title>Outrider</title>") {
		t.Fatalf("answer %d %s", response.StatusCode, body)
	}
	wantField(t, response, "Content-Type", "text/html; charset=utf-8")
	wantField(t, response, "X-Content-Type-Options", "nosniff")
	wantField(t, response, "Referrer-Policy", "no-referrer")
	wantField(t, response, "X-Frame-Options", "DENY")
	said := response.Header.Get("Content-Security-Policy")
	for _, rule := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "frame-ancestors 'none'", "require-trusted-types-for 'script'"} {
		if !strings.Contains(said, rule) {
			t.Errorf("the policy %q has no %s", said, rule)
		}
	}
	if strings.Contains(said, "unsafe") {
		t.Errorf("the policy is %q", said)
	}

	for path, kind := range map[string]string{"main.js": "text/javascript; charset=utf-8", "style.css": "text/css; charset=utf-8", "icon.svg": "image/svg+xml"} {
		response, _ := ask{path: "/dashboard/" + path}.to(t, address)
		if response.StatusCode != 200 {
			t.Errorf("%s: %d", path, response.StatusCode)
		}
		wantField(t, response, "Content-Type", kind)
		wantField(t, response, "Content-Security-Policy", policy)
	}
	response, body = ask{path: "/", host: "evil.example"}.to(t, address)
	wantRefusal(t, response, body, 421, "add it to admin.hosts")
	response, body = ask{path: "/dashboard/"}.to(t, address)
	wantRefusal(t, response, body, 404, "there is no")
}

// What the policy forbids is not even tried, and nothing becomes markup that came as text.
func TestThePagesMakeNoMarkupOfTextAndAskNobodyElse(t *testing.T) {
	risky := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|createContextualFragment|\beval\b|new Function|srcdoc|setHTML|javascript:`)
	inline := regexp.MustCompile(`<[^>]* (on\w+|style)=|<script[^>]*>[^<]|<style`)
	elsewhere := regexp.MustCompile(`(https?:)?//[a-z0-9.-]+\.[a-z]{2,}`)
	err := fs.WalkDir(files, "dashboard", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := files.ReadFile(name)
		if found := risky.Find(text); found != nil {
			t.Errorf("%s has %q", name, found)
		}
		if strings.HasSuffix(name, ".html") {
			if found := inline.Find(text); found != nil {
				t.Errorf("%s has %q, which the policy forbids", name, found)
			}
		}
		for _, found := range elsewhere.FindAll(text, -1) {
			if !strings.Contains(string(found), "www.w3.org") { // the name of SVG
				t.Errorf("%s names %q", name, found)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
