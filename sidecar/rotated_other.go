//go:build !unix

package main

import "os"

// notifyRotated never tells: this system has no SIGUSR1.
func notifyRotated(chan<- os.Signal) {}
