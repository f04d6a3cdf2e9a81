package config

// encryption is a cluster's tls: true, false or a section.
type encryption struct{ into **TLS }

func (e encryption) read(r *reader, path string, n *node) {
	*e.into = nil
	if n.kind == kindScalar {
		var on bool
		yesNo(&on).read(r, path, n)
		if !on {
			return
		}
		n = &node{kind: kindMapping, at: n.at}
	}
	*e.into = new(TLS)
	e.section().read(r, path, n)
}

// section binds to the TLS in place; a throw-away where there is none, as for the schema.
func (e encryption) section() section {
	if e.into == nil || *e.into == nil {
		return tlsKeys(new(TLS))
	}
	return tlsKeys(*e.into)
}

func (e encryption) schema() schema {
	return schema{"anyOf": []schema{{"type": "boolean"}, e.section().schema(), variable()}}
}

func (e encryption) describe() string { return "true, false or section" }

func (e encryption) child(segment string, written *node) (key, bool) {
	return e.section().child(segment, written)
}

func (e encryption) names(written *node) []string { return e.section().names(written) }
