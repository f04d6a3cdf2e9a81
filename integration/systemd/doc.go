// Package systemd holds units to start from, and tests the real program behind a
// socket that stays open while it restarts.
package systemd
