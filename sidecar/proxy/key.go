package proxy

import (
	"bytes"

	"outrider/sidecar/cluster"
)

// key is what makes out the backend of a request: what the router says, else what
// the policy takes of the request. A request that has none takes turns.
func (x *exchange) key() (key uint64, keyed bool) {
	if key := x.decision.HashKey; key != "" {
		return cluster.KeyOf(key), true
	}
	if x.policy.Balance != cluster.Hash {
		return 0, false
	}
	switch from := x.policy.Key; {
	case from.Header != "":
		return keyOf(x.field(from.Header))
	case from.Cookie != "":
		return keyOf(x.cookie(from.Cookie))
	}
	return cluster.KeyOf(x.view.IP()), true
}

func keyOf(value []byte) (uint64, bool) { return cluster.KeyOf(value), len(value) > 0 }

// field is the first value of a field of the request that is not empty.
func (x *exchange) field(name string) []byte {
	for _, f := range x.req.Fields {
		if v := f.Value.Of(x.head); len(v) > 0 && equalFold(f.Name.Of(x.head), name) {
			return v
		}
	}
	return nil
}

// cookie is the first value of a cookie (RFC 6265, 4.2.1) that is not empty, as
// scripts see it.
func (x *exchange) cookie(name string) []byte {
	for _, f := range x.req.Fields {
		if !equalFold(f.Name.Of(x.head), "cookie") {
			continue
		}
		for pair := range bytes.SplitSeq(f.Value.Of(x.head), []byte{';'}) {
			got, value, _ := bytes.Cut(bytes.TrimSpace(pair), []byte{'='})
			if string(got) == name && len(unquoted(value)) > 0 {
				return unquoted(value)
			}
		}
	}
	return nil
}

func unquoted(value []byte) []byte {
	if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
		return value[1 : len(value)-1]
	}
	return value
}
