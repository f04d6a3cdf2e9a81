package config

import (
	"bytes"
	"encoding/json"
	"strconv"
)

// schema is a JSON Schema, or a part of one.
type schema map[string]any

// Schema is the JSON Schema (draft 2020-12) of outrider.yaml, for editors and other tools.
// What it accepts is well formed; references between keys and files are checked by [Load] only.
func Schema() []byte {
	s := root(new(Config)).schema()
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["title"] = "outrider.yaml"
	s["description"] = "Configuration of the Outrider sidecar."
	s["$defs"] = schema{"variable": schema{
		"type": "string", "pattern": `\$\{`, "description": "A value from the environment: ${NAME} or ${NAME:-default}.",
	}}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(s); err != nil {
		panic(err) // the table holds nothing that JSON cannot
	}
	return out.Bytes()
}

// schema is the key's value with what editors show.
func (k key) schema() schema {
	s := k.value.schema()
	s["title"] = k.name
	s["description"] = k.doc
	if k.def != "" {
		s["default"] = literal(k.def)
	}
	return s
}

// literal is a default as JSON has it.
func literal(def string) any {
	if n, err := strconv.Atoi(def); err == nil {
		return n
	}
	if b, err := strconv.ParseBool(def); err == nil {
		return b
	}
	return def
}

// variable is a value that the environment brings.
func variable() schema { return schema{"$ref": "#/$defs/variable"} }

// orVariable is form, or a value that the environment brings. Plain text may hold variables anyway.
func orVariable(form schema) schema {
	if form["type"] == "string" && form["pattern"] == nil {
		return schema{"type": "string"}
	}
	return schema{"anyOf": []schema{form, variable()}}
}

// require is the schema of a section in which a key cannot be left out.
func require(s schema, key string) schema {
	s["type"] = "object"
	s["required"] = []string{key}
	return s
}
