package config

// pathList is some paths, as a list or in one text between commas.
type pathList struct{ list[string] }

func paths(into *[]string, want string) value {
	return pathList{list[string]{into: into, kind: "path, or list of paths", item: func(s *string) value {
		return text(s, "path", want, "", checkNotEmpty)
	}}}
}

func (p pathList) read(r *reader, path string, n *node) {
	if n.kind == kindScalar {
		n = untypedScalar(n.text, n.at)
	}
	p.list.read(r, path, n)
}

func (p pathList) schema() schema {
	return schema{"anyOf": []schema{{"type": "string"}, {"type": "array", "items": schema{"type": "string"}}}}
}
