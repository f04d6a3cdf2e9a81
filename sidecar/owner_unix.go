//go:build unix

package main

import (
	"fmt"
	"os"
	"syscall"
)

// whose tells a file's mode and owner, and who we are, as far as that is known.
func whose(path string) string {
	us := os.Geteuid()
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Sprintf(" (this process runs as uid %d)", us)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Sprintf(" (mode %04o; this process runs as uid %d)", info.Mode().Perm(), us)
	}
	return fmt.Sprintf(" (mode %04o, owner %d:%d; this process runs as uid %d)", info.Mode().Perm(), stat.Uid, stat.Gid, us)
}
