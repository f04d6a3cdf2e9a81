package main

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"outrider/sidecar/config"
)

func keygenVerb() *cobra.Command {
	var ifAbsent string
	cmd := &cobra.Command{
		Use:   "keygen",
		Short: "Make a key for gossip.secret_file",
		Long: `Print a fresh key that sidecars can share: 32 random bytes in base64.

With --if-absent the key goes into FILE, with mode 0600, unless FILE is there
already: then it is checked and left as it is. Several that start at once agree on
one key. To change the key without losing a peer, give every sidecar a file with
the old key first and the new one below it, then with the new one first, then with
the new one alone.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !cmd.Flags().Changed("if-absent") {
				_, err := fmt.Fprintln(cmd.OutOrStdout(), newKey())
				return err
			}
			return keepKey(cmd.OutOrStdout(), ifAbsent)
		},
	}
	cmd.Flags().StringVar(&ifAbsent, "if-absent", "", "write the key into this `FILE`, unless it exists")
	return cmd
}

// newKey is 32 random bytes, for AES-256, in base64.
func newKey() string {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // crypto/rand never fails: it ends the program instead
	return base64.StdEncoding.EncodeToString(key)
}

// keepKey makes the file at path hold a key, an older one rather than a new one.
func keepKey(out io.Writer, path string) error {
	if path == "" {
		return errors.New("--if-absent needs the name of a file")
	}
	err := writeKey(path, newKey()+"\n")
	if errors.Is(err, fs.ErrExist) {
		return tellKeys(out, path)
	}
	if err == nil {
		_, err = fmt.Fprintf(out, "%s written: a new key, for this user alone\n", path)
	}
	return err
}

// tellKeys tells what a secret that is there holds.
func tellKeys(out io.Writer, path string) error {
	keys, err := config.ReadKeys(path)
	if err != nil {
		return fmt.Errorf("%s is there already, but is not usable: remove or mend it: %w", path, err)
	}
	_, err = fmt.Fprintf(out, "%s is there already, with %s: left as it is\n", path, count(len(keys), "key"))
	return err
}

// writeKey writes a new file for our user alone; one that is there is fs.ErrExist.
// It is written beside its place and linked to it, so that nobody ever reads half a
// key and the first of several wins.
func writeKey(path, text string) (err error) {
	if _, err := os.Lstat(path); err == nil {
		return fs.ErrExist // also where we may not write
	}
	folder := filepath.Dir(path)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("make the folder of the key: %w", err)
	}
	file, err := os.CreateTemp(folder, "."+filepath.Base(path)+"-*") // with mode 0600
	if err != nil {
		return fmt.Errorf("write the key: %w", err)
	}
	defer func() { err = errors.Join(err, os.Remove(file.Name())) }()
	_, err = file.WriteString(text)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("write the key: %w", err)
	}
	if err := os.Link(file.Name(), path); err != nil {
		return fmt.Errorf("write the key: %w", err)
	}
	return nil
}
