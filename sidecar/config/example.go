package config

import _ "embed"

//go:embed example.yaml
var example string

// Example is the complete, commented outrider.yaml: every key of this version, the
// optional ones at their defaults or commented out. It is valid as it stands.
func Example() []byte { return []byte(example) }
