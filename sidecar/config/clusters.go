package config

// clusters is a mapping of names to clusters.
type clusters struct{ into *[]Cluster }

func (c clusters) read(r *reader, path string, n *node) {
	*c.into = nil
	switch n.kind {
	case kindBroken, kindNull, kindMapping:
	default:
		r.faults.add(n.at, path, "wants a section with a name for each cluster, not %s", n.kind)
	}
	for _, e := range n.entries {
		at := join(path, e.key)
		r.written[at] = e.at
		if err := checkClusterName(e.key); err != nil {
			r.faults.add(e.at, at, "%v", err)
		}
		if e.key == OnErrorFail {
			r.faults.add(e.at, at, "a cluster cannot be called %q, which is a word of script.on_error", e.key)
		}
		one := Cluster{Name: e.key}
		cluster(&one).read(r, at, e.value)
		*c.into = append(*c.into, one)
	}
}

func (c clusters) schema() schema {
	return schema{
		"type":                 []string{"object", "null"},
		"propertyNames":        schema{"pattern": clusterPattern, "not": schema{"const": OnErrorFail}},
		"additionalProperties": cluster(new(Cluster)).schema(),
	}
}

func (c clusters) describe() string { return "section of clusters" }

// child is the written cluster whose name the segment means, else a new one.
func (c clusters) child(segment string, written *node) (key, bool) {
	name := segment
	for _, e := range entriesOf(written) {
		if fold(e.key) == segment {
			name = e.key
		}
	}
	return key{name: name, value: cluster(new(Cluster))}, segment != ""
}

func (c clusters) names(written *node) []string { return keysOf(written) }

func entriesOf(n *node) []entry {
	if n == nil {
		return nil
	}
	return n.entries
}

func keysOf(n *node) []string {
	var keys []string
	for _, e := range entriesOf(n) {
		keys = append(keys, e.key)
	}
	return keys
}
