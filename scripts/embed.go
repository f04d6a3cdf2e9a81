// Package scripts holds what comes with Outrider for the writers of routing
// scripts: the built-in rule, the types for editors, a guide and examples.
package scripts

import "embed"

// Default is the built-in rule, default.js.
//
//go:embed default.js
var Default []byte

// Types are the declarations of the scripting API, outrider.d.ts.
//
//go:embed outrider.d.ts
var Types []byte

// Testing makes requests and contexts for other test runners, testing.js.
//
//go:embed testing.js
var Testing []byte

// Files holds everything by its path: default.js, outrider.d.ts, testing.js, README.md and
// examples/.
//
//go:embed default.js outrider.d.ts testing.js README.md examples
var Files embed.FS
