// Package wire holds the engine's fault suite: its tests drive the real binary as
// a child process, and measure it from outside.
package wire
