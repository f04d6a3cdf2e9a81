package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/term"
)

// runtimeTokenFile is where a running sidecar leaves the token of its admin
// listener, for the other verbs of the same user.
func runtimeTokenFile(listen string) (string, error) {
	_, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", fmt.Errorf("admin.listen %q: %w", listen, err)
	}
	dir := os.Getenv("XDG_RUNTIME_DIR")
	if dir == "" {
		dir = filepath.Join(os.TempDir(), fmt.Sprintf("outrider-%d", os.Getuid()))
	} else {
		dir = filepath.Join(dir, "outrider")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("folder for the admin token (set admin.token_file to choose another place): %w", err)
	}
	return filepath.Join(dir, "admin-"+port+".token"), nil
}

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }
