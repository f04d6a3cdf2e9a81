package app_test

import (
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
)

func TestAThousandReloadsUnderLoadTouchNoRequestAndLeakNothing(t *testing.T) {
	s, file := scripted(t, `function route() { return 'one'; }`, "limits: { client_idle: 1h }\n")
	kept := dial(t, s)
	if a := kept.get("/"); a.body != "one-a" {
		t.Fatalf("got %+v", a)
	}
	before := liveHeap()
	var sent atomic.Int64
	stop := load(t, s, "/", &sent)
	const reloads = 1000
	for i := range reloads {
		writeFile(t, file, fmt.Sprintf("function route() { return '%s'; } // %d", []string{"one", "two"}[i%2], i))
		if err := s.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	if n := sent.Load(); n < reloads/10 {
		t.Errorf("only %d requests were sent meanwhile", n)
	}
	if a := kept.get("/"); a.body != "two-a" {
		t.Errorf("a connection from before is answered %+v", a)
	}
	s.client.CloseIdleConnections()
	eventually(t, "nothing runs for the versions of before", func() bool { return goroutinesIn("outrider/scripting.") <= 2 })
	if live := liveHeap(); live > before+before/2+8<<20 {
		t.Errorf("%d KiB are in use, %d KiB before", live>>10, before>>10)
	}
}

// goroutinesIn counts those that are in a package.
func goroutinesIn(name string) int {
	stacks := make([]byte, 4<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	n := 0
	for one := range strings.SplitSeq(string(stacks), "\n\n") {
		if strings.Contains(one, name) {
			n++
		}
	}
	return n
}

// liveHeap is what is in use, in bytes.
func liveHeap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestTheVersionBeforeDecidesThroughTheProxyWhatTheNewOneFailsOn(t *testing.T) {
	s, file := scripted(t, `function route() { return 'one'; }`, "")
	before := s.Status().Script.Version
	writeFile(t, file, `function route(req) { return req.path === '/bad' ? req.no.thing : 'two'; }`)
	eventually(t, "the edited script decides", func() bool { return s.get("/").body == "two-a" })
	if a := s.get("/bad"); a.status != 200 || a.body != "one-a" {
		t.Errorf("a client saw the fault: %+v", a)
	}
	told := s.log.await(t, "the version before has decided it")
	if told.fields["decided_by"] != before {
		t.Errorf("the log tells %v", told.fields)
	}
	if err := s.Rollback(); err != nil {
		t.Fatal(err)
	}
	if a := s.get("/"); a.body != "one-a" {
		t.Errorf("after the rollback: %+v", a)
	}
	if s := s.Status(); s.Script.Version != before || s.Config.LastReloadError == "" {
		t.Errorf("the status is %+v, %+v", s.Script, s.Config)
	}
}

// A loop is interrupted, and then the version before decides in its place.
func TestOnProbationALoopIsDecidedByTheVersionBefore(t *testing.T) {
	s, file := scripted(t, `function route() { return 'one'; }`, "script: { timeout: 100ms }\n")
	writeFile(t, file, `function route(req) { while (req.path === '/loop'); return 'two'; }`)
	eventually(t, "the edited script decides", func() bool { return s.get("/").body == "two-a" })
	// On a busy machine the deadline may come too late for the version before.
	eventually(t, "a loop is decided by the version before", func() bool {
		a := s.get("/loop")
		return a.status == 200 && a.body == "one-a"
	})
}

func TestARollbackWithoutAScriptIsRefused(t *testing.T) {
	s := start(t, twoClusters(newBackends(t, "one-a"), newBackends(t, "two-a"), quick))
	if err := s.Rollback(); err == nil {
		t.Error("it was not")
	}
}
