package config

import (
	"fmt"
	"strings"
)

const (
	hashKeyClient  = "client"
	hashKeyPattern = "^(client|(header|cookie):[!#$%&'*+.^_`|~0-9A-Za-z-]+)$"
)

// hashKey reads client, header:NAME and cookie:NAME.
func hashKey(into *HashKey) value {
	return scalar[HashKey]{into: into, kind: "client, header:NAME or cookie:NAME", want: "client, header:NAME or cookie:NAME",
		accepts: []scalarType{textual}, form: schema{"type": "string", "pattern": hashKeyPattern}, parse: parseHashKey}
}

func parseHashKey(s string) (HashKey, error) {
	kind, name, named := strings.Cut(s, ":")
	valid := tokenForm.MatchString(name)
	switch {
	case s == hashKeyClient:
		return HashKey{}, nil
	case kind == "header" && valid:
		return HashKey{Header: name}, nil
	case kind == "cookie" && valid:
		return HashKey{Cookie: name}, nil
	case named && (kind == "header" || kind == "cookie"):
		return HashKey{}, fmt.Errorf("%q is not the name of a %s; write one such as %s:user", name, kind, kind)
	}
	return HashKey{}, fmt.Errorf("%q is none of client, header:NAME, cookie:NAME%s", s, didYouMean(s, []string{hashKeyClient}))
}

// String is the key as it is written in the file.
func (k HashKey) String() string {
	switch {
	case k.Header != "":
		return "header:" + k.Header
	case k.Cookie != "":
		return "cookie:" + k.Cookie
	}
	return hashKeyClient
}
