package cases

import (
	"bytes"
	"encoding/json"
	"maps"
)

// schema is a JSON Schema, or a part of one.
type schema map[string]any

// Schema is the JSON Schema (draft 2020-12) of a table, for editors and other
// tools. What it accepts is well formed; whether requests make sense and clusters
// exist is checked when the table is run.
func Schema() []byte {
	s := schema{
		"$schema":     "https://json-schema.org/draft/2020-12/schema",
		"title":       "route.test.yaml",
		"description": "Cases that a routing script of Outrider has to meet.",
		"type":        []string{"array", "null"},
		"items":       sectionSchema(rowKeys(new(Row))),
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(s); err != nil {
		panic(err) // the keys hold nothing that JSON can not
	}
	return out.Bytes()
}

func sectionSchema(keys []key) schema {
	properties := schema{}
	s := schema{"type": "object", "properties": properties, "additionalProperties": false}
	var required []string
	for _, k := range keys {
		described := schema{"title": k.name, "description": k.doc}
		maps.Copy(described, k.value.schema)
		properties[k.name] = described
		if k.required {
			required = append(required, k.name)
		}
	}
	if required != nil {
		s["required"] = required
	}
	return s
}

// textSchema takes numbers and the like as well, as they are written.
func textSchema() schema { return schema{"type": []string{"string", "number", "boolean"}} }

func orNull(s schema) schema { return schema{"anyOf": []schema{s, {"type": "null"}}} }

func orList(s schema) schema {
	return schema{"anyOf": []schema{s, {"type": "array", "items": s}}}
}

func mapOf(s schema) schema { return schema{"type": "object", "additionalProperties": s} }
