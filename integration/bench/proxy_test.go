package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestCountsThatConnectionsInFlightExplainAgree(t *testing.T) {
	for _, counted := range []int{1000, 1001, 1032, 1064} {
		if err := agree(load{requests: 1000}, counts{one: counted}, 32); err != nil {
			t.Errorf("counted %d: %v", counted, err)
		}
	}
}

func TestCountsThatNothingExplainsDisagree(t *testing.T) {
	for _, row := range []struct {
		why     string
		load    load
		counted counts
	}{
		{"an answer without a request", load{requests: 1000}, counts{one: 999}},
		{"requests sent twice", load{requests: 1000}, counts{one: 1065}},
		{"the wrong backend", load{requests: 1000}, counts{one: 1000, two: 1}},
		{"a socket error", load{requests: 1000, socketErrors: 1}, counts{one: 1000}},
		{"a bad status", load{requests: 1000, badStatus: 1}, counts{one: 1000}},
		{"no answer", load{}, counts{}},
	} {
		if err := agree(row.load, row.counted, 32); err == nil {
			t.Errorf("%s passes", row.why)
		}
	}
}

func TestAnswerWithAnotherStatusOrBodyIsRefused(t *testing.T) {
	for _, row := range []struct {
		why, body string
		status    int
		want      string // part of the error; empty: fine
	}{
		{"as expected", "one..", 200, ""},
		{"bad gateway", "one..", 502, "502"},
		{"cut short", "one.", 200, `"one."`},
		{"from the other backend", "two..", 200, `"two.."`},
	} {
		t.Run(row.why, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(row.status)
				_, _ = io.WriteString(w, row.body)
			}))
			defer server.Close()
			err := expect(t.Context(), server.Client(), server.URL, "", "one..")
			if (err == nil) != (row.want == "") || err != nil && !strings.Contains(err.Error(), row.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}
