package rollout

import (
	"crypto/sha256"
	"encoding/hex"
)

// hashOf is the short name of a version: of everything that makes it decide as it
// does.
func hashOf(parts ...[]byte) string {
	sum := sha256.New()
	for _, part := range parts {
		one := sha256.Sum256(part)
		sum.Write(one[:])
	}
	return hex.EncodeToString(sum.Sum(nil))[:7]
}
