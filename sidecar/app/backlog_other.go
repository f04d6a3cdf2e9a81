//go:build !unix

package app

import "net"

// setBacklog does nothing: this system takes what it likes.
func setBacklog(net.Listener, int) error { return nil }
