package admin

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestNewTokensAreLongAndDiffer(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		token := NewToken()
		if secret, err := base64.RawURLEncoding.DecodeString(token); err != nil || len(secret) != 32 {
			t.Errorf("%q holds %d bytes, %v", token, len(secret), err)
		}
		seen[token] = true
	}
	if len(seen) != 100 {
		t.Errorf("%d different tokens of 100", len(seen))
	}
}

func TestATokenIsReadAsItWasWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	for range 2 { // into a new file, and over an old one
		token := NewToken()
		if err := WriteToken(path, token); err != nil {
			t.Fatal(err)
		}
		if got, err := ReadToken(path); got != token || err != nil {
			t.Errorf("read %q, %v; want %q", got, err, token)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("the folder holds %v, %v; want the token alone", entries, err)
	}
}

func TestWritingMakesAFilePrivateThatWasNot(t *testing.T) {
	path := file(t, "old", 0o644)
	if err := WriteToken(path, "new"); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadToken(path); got != "new" || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
}

func TestAFileThatOthersCanReachIsNoTokenFile(t *testing.T) {
	for _, mode := range []fs.FileMode{0o640, 0o604, 0o644, 0o620, 0o602, 0o666} {
		path := file(t, token, mode)
		_, err := ReadToken(path)
		want := fmt.Sprintf("mode %04o, owner uid %d, and this process runs as uid %[2]d", mode, os.Geteuid())
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "chmod 600 "+path) {
			t.Errorf("%04o: %v, want %s", mode, err, want)
		}
	}
	for _, mode := range []fs.FileMode{0o600, 0o400, 0o700} {
		if got, err := ReadToken(file(t, token, mode)); got != token || err != nil {
			t.Errorf("%04o: read %q, %v", mode, got, err)
		}
	}
}

func TestASymbolicLinkIsNeitherReadNorWritten(t *testing.T) {
	target := file(t, token, 0o600)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	_, read := ReadToken(link)
	for verb, err := range map[string]error{"read": read, "write": WriteToken(link, "new")} {
		if err == nil || !strings.Contains(err.Error(), link+" is a symbolic link") {
			t.Errorf("%s: %v", verb, err)
		}
	}
	if got, err := ReadToken(target); got != token || err != nil {
		t.Errorf("behind the link is %q, %v", got, err)
	}
}

func TestAFolderIsNoTokenFile(t *testing.T) {
	path := t.TempDir()
	_, read := ReadToken(path)
	for verb, err := range map[string]error{"read": read, "write": WriteToken(path, token)} {
		if err == nil || !strings.Contains(err.Error(), "is not a regular file") {
			t.Errorf("%s: %v", verb, err)
		}
	}
}

func TestATokenFileThatIsNotThereIsToldApart(t *testing.T) {
	if _, err := ReadToken(filepath.Join(t.TempDir(), "token")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v, want fs.ErrNotExist", err)
	}
	path := filepath.Join(t.TempDir(), "no", "token")
	if err := WriteToken(path, token); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("%v, want fs.ErrNotExist and the path", err)
	}
}

func TestWhatIsNoTokenIsNotTakenForOne(t *testing.T) {
	for _, text := range []string{"", " \n", "two words", "two\nlines", "umlaut-ä", "a\x00b", "=", strings.Repeat("x", maxTokenFile+1)} {
		if got, err := ReadToken(file(t, text, 0o600)); err == nil || !strings.Contains(err.Error(), "does not hold a token") {
			t.Errorf("%.20q was read as %.20q, %v", text, got, err)
		}
	}
	if got, err := ReadToken(file(t, " abc+/.~_-9== \r\n", 0o600)); got != "abc+/.~_-9==" || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
}

// Whatever ReadToken gives can be sent and is accepted.
func TestATokenThatWasReadPassesTheCheck(t *testing.T) {
	address := func(token string) string {
		return serve(t, Handler(Options{Sidecar: &far{}, Token: token, Log: silent()}))
	}
	path := filepath.Join(t.TempDir(), "token")
	rapid.Check(t, func(r *rapid.T) {
		written := rapid.StringOfN(rapid.RuneFrom([]rune("aZ09-._~+/= \n\tä\x00")), 1, 12, -1).Draw(r, "file")
		if err := os.WriteFile(path, []byte(written), 0o600); err != nil {
			r.Fatal(err)
		}
		token, err := ReadToken(path)
		if err != nil {
			return
		}
		if _, err := (Client{Address: address(token), Token: token}).Status(t.Context()); err != nil {
			r.Fatalf("%q: %v", token, err)
		}
	})
}

func file(t *testing.T, text string, mode fs.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // past the umask
		t.Fatal(err)
	}
	return path
}
