//go:build linux

package wire_test

import (
	"fmt"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// slowhttptest is the well-known tool of that name, with its four attacks.
func TestTheAttacksOfSlowhttptestAreWithstood(t *testing.T) {
	tool, err := exec.LookPath("slowhttptest")
	if err != nil {
		t.Fatalf("%v: install it (Debian: slowhttptest)", err)
	}
	const connections, seconds = 500, 8
	for name, attack := range map[string]string{
		"slow heads":  "-H -i 1",
		"slow bodies": "-B -i 1 -s 8192",
		"slow reads":  "-X -w 10 -y 20 -n 1 -z 32 -k 3",
		"ranges":      "-R -a 1 -b 3000 -t HEAD",
	} {
		t.Run(name, func(t *testing.T) {
			sc := start(t, backend(t, func(w http.ResponseWriter, _ *http.Request) {
				_, _ = w.Write(make([]byte, 256<<10))
			}), setup{limits: "head_timeout: 3s"})
			o := attacked(t, sc, func(*others) {
				arguments := fmt.Sprintf("%s -c %d -r 250 -l %d -p 3 -u http://%s/", attack, connections, seconds, sc.addr)
				text, err := exec.Command(tool, strings.Fields(arguments)...).CombinedOutput()
				seen := availability().FindAllStringSubmatch(colours().ReplaceAllString(string(text), ""), -1)
				if err != nil || len(seen) == 0 {
					t.Fatalf("slowhttptest: %v\n%s", err, text)
				}
				for _, found := range seen {
					if found[1] != "YES" {
						t.Errorf("slowhttptest found the service gone:\n%s", text)
						break
					}
				}
			})
			if o.peak > 80 {
				t.Errorf("it took %d MiB", o.peak)
			}
		})
	}
}

func availability() *regexp.Regexp { return regexp.MustCompile(`service available:\s*(\w+)`) }

// colours are a terminal's, which slowhttptest writes in any case.
func colours() *regexp.Regexp { return regexp.MustCompile("\x1b\\[[0-9;]*m") }
