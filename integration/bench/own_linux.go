package main

import "syscall"

// own makes a child that ends with us, whatever ends us, and that leads a group of its own: an interrupt
// typed at the terminal reaches only us, and we end our children in order.
func own() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}

// signalGroup signals the child of that pid and all that it started.
func signalGroup(pid int, s syscall.Signal) error { return syscall.Kill(-pid, s) }
