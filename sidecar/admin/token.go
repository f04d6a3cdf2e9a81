package admin

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

const (
	tokenBytes   = 32
	maxTokenFile = 4 << 10 // bytes
	others       = 0o077   // permissions of everybody but the owner
)

// tokenForm is what an Authorization field can carry: RFC 6750 section 2.1.
var tokenForm = regexp.MustCompile(`^[A-Za-z0-9._~+/-]+=*$`)

// NewToken is a token that nobody can guess: 32 random bytes in base64url.
func NewToken() string {
	secret := make([]byte, tokenBytes)
	_, _ = rand.Read(secret) // crypto/rand never fails: it ends the program instead
	return base64.RawURLEncoding.EncodeToString(secret)
}

// ReadToken is the token in the file at path, without the white space around it.
// A file that another user could have put there or could read is refused: a
// symbolic link, one that belongs to neither us nor root, one with permissions
// for group or others. A file that does not exist is fs.ErrNotExist.
func ReadToken(path string) (string, error) {
	file, err := openPrivate(path)
	if err != nil {
		return "", err
	}
	defer file.Close()

	text, err := io.ReadAll(io.LimitReader(file, maxTokenFile+1))
	if err != nil {
		return "", fmt.Errorf("read the token file: %w", err)
	}
	token := strings.TrimSpace(string(text))
	if len(text) > maxTokenFile || !tokenForm.MatchString(token) {
		return "", fmt.Errorf("%s does not hold a token: write one line of letters, digits and -._~+/ into it", path)
	}
	return token, nil
}

// WriteToken puts token into the file at path, for our user alone (mode 0600).
// A reader sees the old file or the new one whole. Anything at path that is not
// a regular file, such as a symbolic link, is left alone and refused.
func WriteToken(path, token string) error {
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return notRegular(path, info)
	}
	if err := replace(path, token+"\n"); err != nil {
		return fmt.Errorf("write the token file %s: %w", path, err)
	}
	return nil
}

// replace writes beside path and renames.
func replace(path, text string) (err error) {
	next, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // with mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(next.Name())
		}
	}()
	_, err = next.WriteString(text)
	if err = errors.Join(err, next.Sync(), next.Close()); err != nil {
		return err
	}
	return os.Rename(next.Name(), path)
}

// openPrivate opens a regular file that is ours alone. It looks before it opens,
// because opening a pipe would wait, and checks that both were one file.
func openPrivate(path string) (*os.File, error) {
	seen, err := os.Lstat(path)
	if err != nil {
		return nil, fmt.Errorf("the token file cannot be used: %w", err)
	}
	if !seen.Mode().IsRegular() {
		return nil, notRegular(path, seen)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("the token file cannot be read: %w%s", err, whose(seen))
	}
	info, err := file.Stat()
	if err == nil && !os.SameFile(seen, info) {
		err = fmt.Errorf("%s was replaced while it was opened: try again", path)
	}
	if err == nil {
		err = checkPrivate(path, info)
	}
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return file, nil
}

func checkPrivate(path string, info fs.FileInfo) error {
	if uid, known := owner(info); known && uid != 0 && uid != os.Geteuid() {
		return fmt.Errorf("the token file %s belongs to another user, who can read it%s: change the owner", path, whose(info))
	}
	if info.Mode().Perm()&others != 0 {
		return fmt.Errorf("the token file %s can be read or changed by other users%s: chmod 600 %[1]s", path, whose(info))
	}
	return nil
}

func notRegular(path string, info fs.FileInfo) error {
	kind := "not a regular file"
	if info.Mode()&fs.ModeSymlink != 0 {
		kind = "a symbolic link"
	}
	return fmt.Errorf("the token file %s is %s, which somebody else may have put there: name the file itself", path, kind)
}

// whose tells the mode, the owner and who we are.
func whose(info fs.FileInfo) string {
	uid, known := owner(info)
	if !known {
		return fmt.Sprintf(" (mode %04o)", info.Mode().Perm())
	}
	return fmt.Sprintf(" (mode %04o, owner uid %d, and this process runs as uid %d)", info.Mode().Perm(), uid, os.Geteuid())
}
