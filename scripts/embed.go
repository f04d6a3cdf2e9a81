// Package scripts holds the routing scripts that come with Outrider.
package scripts

import "embed"

// Files are the default rule (default.js), the type declarations
// (outrider.d.ts), README.md and the examples.
//
//go:embed default.js outrider.d.ts README.md examples/*.js
var Files embed.FS

// Default is the built-in rule as JavaScript.
//
//go:embed default.js
var Default []byte

// Types are the TypeScript declarations of the API, for editors.
//
//go:embed outrider.d.ts
var Types []byte
