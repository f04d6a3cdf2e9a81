// Package prometheus holds alert rules for sidecars, and tests of them and of the
// metrics with Prometheus' own tool.
package prometheus
