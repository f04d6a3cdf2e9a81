package dashboard_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// terminal makes a pair of a terminal and of what sits in front of it (pty(7)).
func terminal(t *testing.T) (front, back *os.File) {
	t.Helper()
	front, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { front.Close() })
	number, err := unix.IoctlGetInt(int(front.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(front.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		back, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { back.Close() })
	return front, back
}

func TestOnATerminalALinkIsPrintedThatLetsIn(t *testing.T) {
	_, one := newBackends(t, 1)
	s := start(t, "shop", clusters(one, one), pathRoutes)
	s.link()
	if strings.Contains(s.told.String(), "#in=") {
		t.Error("a link is printed where nobody is known to look")
	}

	front, back := terminal(t)
	second := &sidecar{t: t, folder: s.folder, admin: port(t)}
	command := exec.Command(binary, "run")
	command.Dir = s.folder
	command.Env = append(second.command().Env, "OUTRIDER_LISTEN=127.0.0.1:0", "OUTRIDER_ADMIN__LISTEN="+second.admin)
	command.Stdout = back
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		_ = command.Wait()
	})
	links := make(chan string, 1)
	go func() {
		link := regexp.MustCompile(`http://` + regexp.QuoteMeta(second.admin) + `/#in=\S+`)
		for lines := bufio.NewScanner(front); lines.Scan(); {
			if found := link.FindString(lines.Text()); found != "" {
				links <- found
				return
			}
		}
	}()
	select {
	case link := <-links:
		p := open(t, link)
		p.awaitText("#live", "live")
		p.await(`localStorage.getItem('outrider.key') !== null`)
	case <-time.After(patience):
		t.Fatal("no link is printed")
	}
}
