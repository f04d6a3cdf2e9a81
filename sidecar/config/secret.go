package config

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Secret is the keys of gossip, of 16, 24 or 32 bytes each: the first encrypts, all
// decrypt. Printing one in any way tells only how many there are.
type Secret [][]byte

// Format keeps the keys from logs and errors, whatever the verb.
func (s Secret) Format(out fmt.State, _ rune) { _, _ = fmt.Fprint(out, s.hidden()) }

// MarshalJSON keeps the keys from documents.
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(s.hidden()) }

func (s Secret) hidden() string {
	if len(s) == 1 {
		return "1 key"
	}
	return fmt.Sprintf("%d keys", len(s))
}

// secretVariable holds the secret itself; the file may only name a file.
const secretVariable = "OUTRIDER_GOSSIP__SECRET"

// ReadKeys reads the file that gossip.secret_file names: one key in base64 on each
// line, in the standard alphabet or the one for URLs, padded or not; blank lines and
// what follows a # are passed over. The error names every line that is wrong, and
// holds nothing of what stands there.
func ReadKeys(path string) ([][]byte, error) {
	keys, errs := files{}.keys(path)
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return keys, nil
}

func (f Files) keys(path string) (keys [][]byte, errs []error) {
	file, err := f.open(path)
	if err != nil {
		return nil, []error{err}
	}
	return parseKeys(path, string(file.data))
}

// parseKeys reads the lines of a secret; name is what errors call the file.
func parseKeys(name, text string) (keys [][]byte, errs []error) {
	number := 0
	for line := range strings.Lines(strings.TrimPrefix(text, byteOrderMark)) {
		number++
		word, _, _ := strings.Cut(line, "#")
		if word = strings.TrimSpace(word); word == "" {
			continue
		}
		key, err := decodeKey(word)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s:%d: the key %w", name, number, err))
			continue
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 && len(errs) == 0 {
		errs = append(errs, fmt.Errorf("%s holds no key; %s", name, howToMakeOne))
	}
	return keys, errs
}

// parseSecret reads keys between commas or on lines of their own.
func parseSecret(text string) (Secret, error) {
	var keys Secret
	words := strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == '\n' })
	for _, word := range words {
		if word = strings.TrimSpace(word); word == "" {
			continue
		}
		key, err := decodeKey(word)
		if err != nil {
			return nil, fmt.Errorf("key %d %w", len(keys)+1, err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

const howToMakeOne = "`outrider keygen` makes one"

// decodeKey is one key; the error goes on from "the key".
func decodeKey(text string) ([]byte, error) {
	for _, e := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		key, err := e.DecodeString(text)
		if err != nil {
			continue
		}
		if !slices.Contains([]int{16, 24, 32}, len(key)) { // AES-128, 192 and 256
			return nil, fmt.Errorf("has %d bytes, but must have 16, 24 or 32; %s", len(key), howToMakeOne)
		}
		return key, nil
	}
	return nil, fmt.Errorf("is not base64; %s", howToMakeOne)
}

// secret is a value that stands in the environment alone.
func secret(into *Secret) value {
	return scalar[Secret]{into: into, kind: "keys", want: "keys in base64",
		accepts: []scalarType{textual, integer, boolean, fraction}, // a fault about the type would show the text
		form:    schema{"type": "string"}, parse: parseSecret}
}

// refuseSecret reports a secret in the file itself, which is shown, copied and kept
// where others read it.
func (r *reader) refuseSecret(root *node) {
	section := root.get("gossip")
	if n := section.get("secret"); n != nil {
		r.faults.add(section.where("secret"), "gossip.secret", "a secret does not belong into this file; put it into one of its own and write secret_file: PATH, or set %s", secretVariable)
		section.set("secret", broken(n.at))
	}
}

// What follows the key secret in a line of the file, and the word after secret_file.
var (
	shownSecret = regexp.MustCompile(`\bsecret["']?[ \t]*:[ \t]*(.*)`)
	shownFile   = regexp.MustCompile(`\bsecret_file["']?[ \t]*:[ \t]*["']?([^"', \t}]*)`)
)

// masked is a line without the secret that somebody wrote into it, and no shorter.
func masked(line string) string {
	if m := shownFile.FindStringSubmatchIndex(line); m != nil && isKey(line[m[2]:m[3]]) {
		line = line[:m[2]] + strings.Repeat("*", m[3]-m[2]) + line[m[3]:]
	}
	if m := shownSecret.FindStringSubmatchIndex(line); m != nil {
		line = line[:m[2]] + strings.Repeat("*", len([]rune(line[m[2]:])))
	}
	return line
}

// isKey reports whether what should be a path may be a key, given to the wrong name.
func isKey(path string) bool {
	_, err := decodeKey(path)
	return err == nil
}

// shared tells mode and owner of a file that others than its owner can use; "" when
// none can, or nobody knows.
func (f Files) shared(path string) string {
	const others = 0o077
	info, err := f.stat(path)
	if err != nil || info.Mode().Perm()&others == 0 {
		return ""
	}
	uid, gid, known := owner(info)
	if !known {
		return ""
	}
	return fmt.Sprintf(" (mode %04o, owner %d:%d)", info.Mode().Perm(), uid, gid)
}
