package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// sample is an app that runs, and who tells it how to behave.
type sample struct {
	t             *testing.T
	app, control  string
	client, other *http.Client // one keeps its connections
}

func start(t *testing.T) *sample {
	t.Helper()
	a, err := newApp("one-a", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c, err := newControl(a, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var tasks sync.WaitGroup
	tasks.Go(a.run)
	tasks.Go(c.run)
	keeping, single := &http.Transport{}, &http.Transport{DisableKeepAlives: true}
	t.Cleanup(func() {
		keeping.CloseIdleConnections()
		c.close()
		a.close()
		tasks.Wait()
	})
	return &sample{t, "http://" + a.address(), "http://" + c.address(), &http.Client{Transport: keeping}, &http.Client{Transport: single}}
}

func (s *sample) behave(query string) {
	s.t.Helper()
	if status, text, err := get(s.other, s.control+"/behave?"+query); err != nil || status != 200 {
		s.t.Fatalf("behave %q: %d %s %v", query, status, text, err)
	}
}

func get(client *http.Client, url string) (int, string, error) {
	response, err := client.Get(url)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	return response.StatusCode, string(text), err
}

func TestItSaysWhoItIsAndWhatItGot(t *testing.T) {
	s := start(t)
	_, text, err := get(s.client, s.app+"/a?b=c")
	var said struct{ App, Method, Path string }
	if json.Unmarshal([]byte(text), &said) != nil || said.App != "one-a" || said.Method != "GET" || said.Path != "/a?b=c" {
		t.Errorf("it says %s, %v", text, err)
	}
}

func TestItMisbehavesAsItIsTold(t *testing.T) {
	s := start(t)
	s.behave("status=500&spare=/healthz")
	if status, _, _ := get(s.client, s.app); status != 500 {
		t.Errorf("told to answer 500, it answers %d", status)
	}
	if status, _, _ := get(s.client, s.app+"/healthz"); status != 200 {
		t.Errorf("the spared path is answered %d", status)
	}

	s.behave("delay=200ms")
	began := time.Now()
	if status, _, _ := get(s.client, s.app); status != 200 || time.Since(began) < 200*time.Millisecond {
		t.Errorf("told to wait 200 ms, it answers %d after %v", status, time.Since(began))
	}

	s.behave("reset=2")
	var reset int
	for range 10 {
		if _, _, err := get(s.other, s.app); errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF) {
			reset++
		}
	}
	if reset != 5 {
		t.Errorf("told to reset every second connection, it did %d of 10", reset)
	}
}

func TestItHangsUntilItBehaves(t *testing.T) {
	s := start(t)
	s.behave("hang=true")
	impatient, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	request, _ := http.NewRequestWithContext(impatient, http.MethodGet, s.app, http.NoBody)
	if response, err := s.other.Do(request); err == nil {
		t.Errorf("it answers %s", response.Status)
	}
	answered := make(chan int)
	go func() {
		status, _, _ := get(s.client, s.app)
		answered <- status
	}()
	s.behave("")
	if status := <-answered; status != 200 {
		t.Errorf("well again, it answers %d", status)
	}
}

func TestItRefusesConnectionsAndTakesThemAgain(t *testing.T) {
	s := start(t)
	for range 3 {
		s.behave("refuse=true")
		if _, _, err := get(s.other, s.app); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("told to refuse: %v", err)
		}
		s.behave("")
		if status, _, err := get(s.other, s.app); status != 200 {
			t.Errorf("told to behave: %v", err)
		}
	}
}

func TestItClosesConnectionsThatRest(t *testing.T) {
	s := start(t)
	s.behave("close_idle=true")
	for range 5 { // a client of its own opens another each time
		if status, _, err := get(s.client, s.app); status != 200 {
			t.Errorf("it answers %d, %v", status, err)
		}
	}
}

func TestItCallsWhomItIsToldTo(t *testing.T) {
	s, other := start(t), start(t)
	_, text, _ := get(s.client, s.app+"/call?url="+url.QueryEscape(other.app+"/x"))
	if !strings.Contains(text, `"status": 200`) || !strings.Contains(text, `/x`) {
		t.Errorf("it answers %s", text)
	}
	if status, _, _ := get(s.client, s.app+"/call"); status != 400 {
		t.Errorf("nobody to call: %d", status)
	}
}

func TestItSaysWhatItCanNotDo(t *testing.T) {
	s := start(t)
	for query, want := range map[string]string{
		"dance=true": "try close_idle, delay, hang, refuse, reset, spare, status", "delay=soon": "delay: ", "status=99": "no status", "reset=-1": "no number",
	} {
		if status, text, _ := get(s.client, s.control+"/behave?"+query); status != 400 || !strings.Contains(text, want) {
			t.Errorf("%s: %d %s", query, status, text)
		}
	}
}
