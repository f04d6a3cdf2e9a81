package gossip

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/hashicorp/memberlist"
)

func validateKeys(keys [][]byte) error {
	for i, key := range keys {
		if err := memberlist.ValidateKey(key); err != nil {
			return fmt.Errorf("gossip: secret %d has %d bytes: it must have 16, 24 or 32", i+1, len(key))
		}
	}
	return nil
}

func newKeyring(keys [][]byte) (*memberlist.Keyring, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	return memberlist.NewKeyring(keys[1:], keys[0])
}

// replaceKeys makes a ring in use hold exactly these keys, the first of which
// encrypts. No moment is without a key that was there before and stays.
//
// memberlist's RemoveKey moves the keys behind the removed one within an array that
// its readers hold without a lock, unless the removed one is the last. So keys
// are moved to the end before they are removed, and new ones come after that.
func replaceKeys(ring *memberlist.Keyring, keys [][]byte) error {
	if len(keys) == 0 {
		return errors.New("gossip: no secret is left: encryption cannot be switched off while running")
	}
	if err := validateKeys(keys); err != nil {
		return err
	}
	if err := errors.Join(ring.AddKey(keys[0]), ring.UseKey(keys[0])); err != nil {
		return err
	}
	if err := removeOthers(ring, keys); err != nil {
		return err
	}
	for _, key := range keys[1:] {
		if err := ring.AddKey(key); err != nil {
			return err
		}
	}
	return nil
}

// removeOthers leaves only those keys in the ring that are among keep; the first
// of these is the ring's primary.
func removeOthers(ring *memberlist.Keyring, keep [][]byte) error {
	unwanted := func(key []byte) bool {
		return !slices.ContainsFunc(keep, func(k []byte) bool { return bytes.Equal(k, key) })
	}
	for {
		held := ring.GetKeys()
		last := held[len(held)-1]
		switch {
		case unwanted(last):
			if err := ring.RemoveKey(last); err != nil {
				return err
			}
		case slices.ContainsFunc(held, unwanted):
			// One that stays is behind: it goes to the front, and the primary before it.
			if err := errors.Join(ring.UseKey(last), ring.UseKey(held[0])); err != nil {
				return err
			}
		default:
			return nil
		}
	}
}
