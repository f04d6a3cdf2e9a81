package credential

import (
	"crypto/tls"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
)

// Source is something to be made of files.
type Source interface {
	Files() []string
	Load() (*tls.Config, error)
}

// Kept is a configuration of TLS that is as its files are, as long as these are
// good. Now may be called from anywhere, and what it gives is never changed.
type Kept struct {
	source  Source
	current atomic.Pointer[tls.Config]

	mu      sync.Mutex // one look at a time; guards what follows
	seen    []fs.FileInfo
	pending error // why what was seen is no good; nil: it is
	told    bool  // Look has told that
}

// Keep loads the source, and keeps it up to date by Look.
func Keep(s Source) (*Kept, error) {
	k := &Kept{source: s, seen: stamps(s.Files())}
	c, err := s.Load()
	if err != nil {
		return nil, err
	}
	k.current.Store(c)
	return k, nil
}

// Now is the configuration in force.
func (k *Kept) Now() *tls.Config { return k.current.Load() }

// Look reads the files when they have changed. changed tells that they are in force
// now. The error tells, once, why files that stay as they are at two looks are no
// good: those who replace a certificate and its key do so one after the other.
func (k *Kept) Look() (changed bool, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := stamps(k.source.Files())
	if same(now, k.seen) {
		if k.pending == nil || k.told {
			return false, nil
		}
		k.told = true
	} else {
		k.told = false
	}
	k.seen = now
	next, err := k.source.Load()
	if err != nil {
		k.pending = err
		if k.told {
			return false, err
		}
		return false, nil
	}
	k.pending = nil
	k.current.Store(next)
	return true, nil
}

// stamps tell whether files are still the same, also behind links that lead
// elsewhere now. One that is not there has none.
func stamps(files []string) []fs.FileInfo {
	infos := make([]fs.FileInfo, len(files))
	for i, file := range files {
		infos[i], _ = os.Stat(file)
	}
	return infos
}

func same(a, b []fs.FileInfo) bool {
	for i := range a {
		switch {
		case a[i] == nil || b[i] == nil:
			if a[i] != b[i] {
				return false
			}
		case !os.SameFile(a[i], b[i]), a[i].Size() != b[i].Size(), !a[i].ModTime().Equal(b[i].ModTime()):
			return false
		}
	}
	return true
}
