package record

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// shortest is the length from which the value of a cookie may be a secret: a
// shorter one holds too little to be worth guessing. In bytes.
const shortest = 17

// credentialWords are parts of the names of headers, cookies and query parameters
// that carry credentials.
//
//nolint:gochecknoglobals // immutable table
var credentialWords = []string{
	"auth", "cookie", "token", "secret", "passw", "session", "sess", "sid", "jwt", "credential", "signature", "csrf", "xsrf",
	"apikey", "api-key", "api_key", "access-key", "access_key", "private", "outrider-explain",
}

// isCredential reports whether a name is one of a credential.
func isCredential(name string) bool {
	for _, word := range credentialWords {
		if containsFold(name, word) {
			return true
		}
	}
	return false
}

// containsFold is strings.Contains for a lower-case ASCII word, in any case.
func containsFold(s, word string) bool {
	for i := 0; i+len(word) <= len(s); i++ {
		if strings.EqualFold(s[i:i+len(word)], word) {
			return true
		}
	}
	return false
}

// hashed marks a value that is not kept itself. No value of a header holds a NUL.
const hashed = "\x00"

// A redactor hides values. Equal ones stay equal, within one process.
type redactor struct{ key [32]byte }

func newRedactor() redactor {
	var r redactor
	_, _ = rand.Read(r.key[:]) // never fails, see its documentation
	return r
}

func (r *redactor) hide(value string) string {
	sum := hmac.New(sha256.New, r.key[:])
	sum.Write([]byte(value))
	return hashed + hex.EncodeToString(sum.Sum(nil)[:8])
}

// shown is a value as it may be written down: hashes with their name.
func shown(value string) *string {
	value = strings.ReplaceAll(value, hashed, "hash:")
	return &value
}

func isHashed(value string) bool { return strings.HasPrefix(value, hashed) }

func (r *redactor) header(name, value string) string {
	if value == "" || !isCredential(name) {
		return value
	}
	return r.hide(value)
}

func (r *redactor) cookie(name, value string) string {
	if len(value) < shortest && !isCredential(name) {
		return value
	}
	return r.hide(value)
}

// query hides the values of those parameters that look like credentials. A whole
// query is kept otherwise, as it was sent.
func (r *redactor) query(raw string) string {
	if raw == "" || !isCredential(raw) {
		return raw
	}
	parts := strings.Split(raw, "&")
	for i, part := range parts {
		if name, value, found := strings.Cut(part, "="); found && value != "" && isCredential(name) {
			parts[i] = name + "=" + r.hide(value)
		}
	}
	return strings.Join(parts, "&")
}
