package watch

import (
	"maps"
	"os"
	"slices"
	"sync"
)

// Reads remembers which files were read, and what they held then. The zero value is
// ready, and safe for concurrent use.
type Reads struct {
	mu   sync.Mutex // guards held
	held map[string]digest
	lost map[string]bool // could not be read
}

// ReadFile is os.ReadFile. Of a file that is read more than once the first time
// counts.
func (r *Reads) ReadFile(path string) ([]byte, error) {
	content, err := os.ReadFile(path)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held == nil {
		r.held, r.lost = make(map[string]digest), make(map[string]bool)
	}
	if _, known := r.held[path]; !known {
		r.held[path], r.lost[path] = digestOf(content, err), err != nil
	}
	return content, err
}

// Held tells whether a file could be read.
func (r *Reads) Held(path string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, known := r.held[path]
	return known && !r.lost[path]
}

// Files are those that were read, or looked for, in order.
func (r *Reads) Files() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Sorted(maps.Keys(r.held))
}

// Look is what At would have told when they were read.
func (r *Reads) Look() Look {
	files := r.Files()
	r.mu.Lock()
	defer r.mu.Unlock()
	return lookOf(files, func(file string) digest { return r.held[file] })
}
