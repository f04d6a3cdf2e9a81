//go:build !unix

package main

import "os"

// notifyOfEnds never tells: only Unix makes orphans somebody's children.
func notifyOfEnds() (ended <-chan os.Signal, stop func()) { return nil, func() {} }

func reap() {}
