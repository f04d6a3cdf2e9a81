//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// notifyRotated tells when logs were rotated.
func notifyRotated(to chan<- os.Signal) { signal.Notify(to, syscall.SIGUSR1) }
