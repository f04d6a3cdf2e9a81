// Package dashboard holds the tests of the dashboard in a real browser. They are a module
// of their own, so that what drives the browser is no dependency of the sidecar.
package dashboard
