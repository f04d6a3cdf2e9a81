package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestPathsBelowOneGoToOneAndAllOthersToTwo(t *testing.T) {
	one, two := backend(t, "one"), backend(t, "two")
	proxy := httptest.NewServer(reverseProxy(one, two, 64))
	defer proxy.Close()
	for path, want := range map[string]string{"/one/": "one", "/one/a": "one", "/one": "two", "/": "two", "/onerous/": "two"} {
		response, err := proxy.Client().Get(proxy.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		host := strings.TrimPrefix(proxy.URL, "http://")
		if want := strings.Join([]string{want, host, "127.0.0.1", "http", host}, " "); string(got) != want {
			t.Errorf("%s: the backend saw %q, want %q", path, got, want)
		}
	}
}

// backend answers with its name, and the Host and forwarding fields that it received.
func backend(t *testing.T, name string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, strings.Join([]string{
			name, r.Host, r.Header.Get("X-Forwarded-For"), r.Header.Get("X-Forwarded-Proto"), r.Header.Get("X-Forwarded-Host"),
		}, " "))
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}
