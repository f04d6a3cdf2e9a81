// Package scripts holds the tests of what script authors use outside of Outrider:
// scripts/testing.js in Node's own test runner, scripts/outrider.d.ts in the
// TypeScript compiler, and hostile scripts in a sidecar that has little memory.
package scripts
