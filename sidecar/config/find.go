package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

const configVariable = "OUTRIDER_CONFIG"

// searched are the places of a file that nobody named.
func searched() []string { return []string{"outrider.yaml", "/etc/outrider/outrider.yaml"} }

// found is the file, or what stands for it.
type found struct {
	name   string // as faults show it; "" = no file
	path   string // "" for YAML in a variable
	data   []byte
	usable bool // false: not there, not readable or not YAML; a fault says so
	empty  bool // there, with nothing in it
}

// find is the file that -c or OUTRIDER_CONFIG names, the YAML in the latter, else the first in the usual places.
func (r *reader) find(flag string, env *environment) *found {
	config, _ := env.lookup(configVariable)
	switch {
	case flag != "":
		return r.open(flag, position{source: "-c"})
	case isInline(config):
		return &found{name: configVariable, data: []byte(config), usable: true}
	case config != "":
		return r.open(config, position{source: configVariable})
	}
	for _, path := range searched() {
		f, err := r.files.open(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		return r.checked(f, err, position{source: path})
	}
	return &found{usable: true}
}

// open reads a file that has been named.
func (r *reader) open(path string, by position) *found {
	f, err := r.files.open(path)
	return r.checked(f, err, by)
}

func (r *reader) checked(f *found, err error, by position) *found {
	if err != nil {
		r.faults.add(by, "", "%v", err)
		return &found{}
	}
	return f
}

// Files is how files are reached. The zero value is the file system.
type Files struct {
	ReadFile func(path string) ([]byte, error)
	Stat     func(path string) (fs.FileInfo, error)
}

type files = Files

// open reads a file that ought to be small.
func (f Files) open(path string) (*found, error) {
	if info, err := f.stat(path); err == nil && info.Mode().IsRegular() && info.Size() > maxFileSize {
		return nil, tooLarge(path)
	}
	data, err := f.read(path)
	if err != nil {
		return nil, err
	}
	if len(data) > maxFileSize {
		return nil, tooLarge(path)
	}
	return &found{name: path, path: path, data: data, usable: true}, nil
}

func tooLarge(path string) error {
	return fmt.Errorf("%s is larger than %s; is this the right file?", path, formatSize(maxFileSize))
}

// read is the file's content; the error is a sentence that says what to do.
func (f Files) read(path string) ([]byte, error) {
	read := os.ReadFile
	if f.ReadFile != nil {
		read = f.ReadFile
	}
	data, err := read(path)
	switch {
	case err == nil:
		return data, nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s: no such file (%w)", path, fs.ErrNotExist)
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("%s: %w%s", path, fs.ErrPermission, f.whose(path))
	}
	if info, statErr := f.stat(path); statErr == nil && info.IsDir() {
		return nil, fmt.Errorf("%s is a folder, not a file", path)
	}
	return nil, fmt.Errorf("%s cannot be read: %w", path, err)
}

func (f Files) stat(path string) (fs.FileInfo, error) {
	if f.Stat != nil {
		return f.Stat(path)
	}
	return os.Stat(path)
}

// whose tells who may read the file and who we are.
func (f Files) whose(path string) string {
	info, err := f.stat(path)
	if err != nil {
		return fmt.Sprintf("; this process runs as uid %d", os.Geteuid())
	}
	by := ""
	if uid, gid, ok := owner(info); ok {
		by = fmt.Sprintf(", owner %d:%d", uid, gid)
	}
	return fmt.Sprintf("; mode %04o%s, and this process runs as uid %d: change the mode or the owner", info.Mode().Perm(), by, os.Geteuid())
}

// missing is the fault for a configuration without any cluster.
func (f *found) missing() string {
	const remedy = "write clusters: { one: { backends: [\"host:port\"] } }, or set OUTRIDER_CLUSTER_ONE=host:port"
	switch {
	case f.name == "":
		return fmt.Sprintf("no configuration: there is neither %s nor %s, and no cluster in the environment; "+
			"`outrider init` writes a file, `outrider demo` shows everything without one, OUTRIDER_CLUSTER_ONE=host:port is the shortest", searched()[0], searched()[1])
	case f.empty:
		return f.name + " is empty, and no cluster is in the environment; " + remedy + "; `outrider init` writes an example"
	}
	return "no cluster; " + remedy
}
