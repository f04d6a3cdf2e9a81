package config

// node is a piece of what was written, wherever it was written: a scalar, a mapping or a list.
type node struct {
	kind    kind
	scalar  scalarType
	text    string // of a scalar
	at      position
	entries []entry // of a mapping, in order
	items   []*node // of a list
}

type entry struct {
	key   string
	at    position
	value *node
}

type kind uint8

const (
	kindNull kind = iota
	kindScalar
	kindMapping
	kindList
	kindBroken // a fault has been reported: read as whatever is wanted, without another
)

// String is the kind as one says it to a person.
func (k kind) String() string {
	switch k {
	case kindScalar:
		return "a single value"
	case kindMapping:
		return "a section"
	case kindList:
		return "a list"
	}
	return "nothing"
}

// scalarType is what YAML takes a scalar for.
type scalarType uint8

const (
	untyped scalarType = iota // from a variable or a flag: whatever it is wanted to be
	textual
	integer
	boolean
	fraction
)

// String is the type as one says it to a person.
func (t scalarType) String() string {
	switch t {
	case integer, fraction:
		return "a number"
	case boolean:
		return "true or false"
	}
	return "text"
}

// get is the value of key, or nil; a nil node has none.
func (n *node) get(key string) *node {
	if n == nil {
		return nil
	}
	for _, e := range n.entries {
		if e.key == key {
			return e.value
		}
	}
	return nil
}

// set gives key a value, in the place of an older one.
func (n *node) set(key string, value *node) {
	for i, e := range n.entries {
		if e.key == key {
			n.entries[i] = entry{key: key, at: value.at, value: value}
			return
		}
	}
	n.entries = append(n.entries, entry{key: key, at: value.at, value: value})
}

// section is the mapping under key, made when there is none; a scalar there is replaced.
func (n *node) section(key string, at position) *node {
	if sub := n.get(key); sub != nil && sub.kind == kindMapping {
		return sub
	}
	sub := &node{kind: kindMapping, at: at}
	n.set(key, sub)
	return sub
}

func untypedScalar(text string, at position) *node {
	return &node{kind: kindScalar, scalar: untyped, text: text, at: at}
}

func broken(at position) *node { return &node{kind: kindBroken, at: at} }

// where is the position of a key itself, as faults about the whole of it show it.
func (n *node) where(key string) position {
	for _, e := range n.entries {
		if e.key == key {
			return e.at
		}
	}
	return n.at
}
