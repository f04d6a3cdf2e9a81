package config

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
)

// disk is a file system of the test; permission errors come from denied.
type disk struct {
	files  fstest.MapFS
	denied string
}

func (d disk) access() Files {
	return Files{
		ReadFile: func(path string) ([]byte, error) {
			if path == d.denied {
				return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrPermission}
			}
			file, ok := d.files[path]
			if !ok {
				return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
			}
			return file.Data, nil
		},
		Stat: func(path string) (fs.FileInfo, error) { return d.files.Stat(strings.TrimPrefix(path, "/")) },
	}
}

// loadText loads one outrider.yaml with an environment, in a world without other files.
func loadText(yaml string, env ...string) (*Config, error) {
	d := disk{files: fstest.MapFS{"outrider.yaml": {Data: []byte(yaml)}}}
	return Load(Source{Env: env, Files: d.access()})
}

// loadEnv loads without any file.
func loadEnv(env ...string) (*Config, error) {
	return Load(Source{Env: env, Files: disk{}.access()})
}

func valid(t *testing.T, c *Config, err error) *Config {
	t.Helper()
	if err != nil {
		t.Fatalf("refused:\n%v", err)
	}
	c.settings = nil // which tell of the same from outside: see TestSettings...
	return c
}

// faultLines are the headlines of the faults of err.
func faultLines(t *testing.T, err error) []string {
	t.Helper()
	all, ok := errors.AsType[*Error](err)
	if !ok {
		t.Fatalf("no *Error: %v", err)
	}
	var lines []string
	for _, f := range all.Faults {
		lines = append(lines, f.headline())
	}
	return lines
}

// clusterOne is the shortest file; more is put into its cluster.
func clusterOne(more string) string {
	return "clusters:\n  one:\n    backends: [\"a:1\"]\n" + more
}
