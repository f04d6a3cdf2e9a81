// Package doctor holds the tests of what only real network namespaces and mounts
// show: a sidecar whose network is gone, and a script that is mounted alone.
package doctor
