package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"outrider/sidecar/config"
)

func TestSeveralThatMakeAKeyAtOnceAgreeOnOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run", "gossip")
	const several = 16
	var told [several]bytes.Buffer
	var seen [several][]byte
	var all sync.WaitGroup
	for i := range several {
		all.Go(func() {
			if err := keepKey(&told[i], path); err != nil {
				t.Error(err)
			}
			keys, err := config.ReadKeys(path) // whoever returns can read it at once
			if err != nil || len(keys) != 1 {
				t.Errorf("%d keys, %v", len(keys), err)
				return
			}
			seen[i] = keys[0]
		})
	}
	all.Wait()

	written := 0
	for i := range several {
		if !bytes.Equal(seen[i], seen[0]) || len(seen[i]) != 32 {
			t.Errorf("%d sees another key", i)
		}
		if strings.Contains(told[i].String(), "written: a new key") {
			written++
		}
	}
	if written != 1 {
		t.Errorf("%d say that they wrote it", written)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v %v", entries, err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
}
