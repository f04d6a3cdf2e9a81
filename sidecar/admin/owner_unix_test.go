//go:build unix

package admin

import (
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// owned describes a file that belongs to whom the test says, as only root could make one.
type owned struct{ uid uint32 }

func (owned) Name() string       { return "token" }
func (owned) Size() int64        { return 1 }
func (owned) Mode() fs.FileMode  { return 0o600 }
func (owned) ModTime() time.Time { return time.Time{} }
func (owned) IsDir() bool        { return false }
func (o owned) Sys() any         { return &syscall.Stat_t{Uid: o.uid} }

func TestATokenFileBelongsToUsOrToRoot(t *testing.T) {
	us := os.Geteuid()
	for _, uid := range []int{us, 0} {
		if err := checkPrivate("token", owned{uint32(uid)}); err != nil {
			t.Errorf("uid %d: %v", uid, err)
		}
	}
	err := checkPrivate("token", owned{uint32(us) + 1})
	want := fmt.Sprintf("belongs to another user, who can read it (mode 0600, owner uid %d, and this process runs as uid %d)", us+1, us)
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
}
