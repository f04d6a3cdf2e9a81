package rollout

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// A kept is what state_dir holds: the last good version, whole, and the version
// that was taken back for it.
type kept struct {
	Good    *snapshot `json:"good"`
	Refused *refusal  `json:"refused,omitempty"`
}

// A refusal is a version that was taken back. It is not tried again before the
// files have changed.
type refusal struct {
	Hash string `json:"version"`
	Why  string `json:"why"`
}

func (r *refusal) Error() string {
	return fmt.Sprintf("version %s was taken back (%s): it stays out until the files change", r.Hash, r.Why)
}

const keptName = "script.json"

// readKept reads what was kept; nothing where nothing was.
func readKept(dir string) (kept, error) {
	var k kept
	if dir == "" {
		return k, nil
	}
	text, err := os.ReadFile(filepath.Join(dir, keptName))
	if errors.Is(err, fs.ErrNotExist) {
		return k, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &k)
	}
	if err != nil {
		return kept{}, fmt.Errorf("state_dir: the last good script cannot be read: %w", err)
	}
	return k, nil
}

// write replaces what was kept, whole or not at all.
func (k kept) write(dir string) error {
	if dir == "" {
		return nil
	}
	text, err := json.Marshal(k)
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err == nil {
		err = replaceFile(filepath.Join(dir, keptName), text)
	}
	if err != nil {
		return fmt.Errorf("state_dir: the script cannot be kept: %w", err)
	}
	return nil
}

// replaceFile writes a file beside path, makes sure that it is on the disk, and
// puts it in path's place.
func replaceFile(path string, content []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".script-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	return err
}
