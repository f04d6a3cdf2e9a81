// Package cases tests routing scripts: it makes up requests, has the very same
// engine that serves decide on them, under the same deadline and error policy,
// with the health that a case asks for, and compares what comes out with what was
// expected.
//
// Cases are rows of a YAML table. Each one is decided twice: by a runtime that has
// served nothing yet, and by one that has served all the rows before it. A script
// whose globals leak from one request into the next decides differently, and fails.
//
// Or tests are JavaScript, test(name, function), and run in the script's own engine.
package cases
