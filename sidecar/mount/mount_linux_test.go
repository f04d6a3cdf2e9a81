package mount

import (
	"strings"
	"testing"
)

// As docker writes it for -v ./route.js:/etc/outrider/route.js and -v ./lib:/lib.
const mountinfo = `623 558 254:1 / / rw,relatime - overlay overlay rw
641 623 254:1 /home/ann/route.js /etc/outrider/route.js ro,relatime - ext4 /dev/vda1 rw
642 623 254:1 /home/ann/lib /lib ro,relatime - ext4 /dev/vda1 rw
643 623 254:1 /home/ann/x /my\040scripts/route.js ro,relatime - ext4 /dev/vda1 rw
`

func TestAFileThatIsAMountOfItsOwnIsFound(t *testing.T) {
	for path, want := range map[string]bool{
		"/etc/outrider/route.js": true, "/my scripts/route.js": true,
		"/lib/route.js": false, "/route.js": false, "/home/ann/route.js": false,
	} {
		if got := isPoint(strings.NewReader(mountinfo), path); got != want {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
}
