package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// terminal opens one: what is written to user is read from screen.
func terminal(t *testing.T) (screen, user *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = screen.Close() })
	number, err := unix.IoctlGetInt(int(screen.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(screen.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	if user, err = os.OpenFile(fmt.Sprint("/dev/pts/", number), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = user.Close() })
	return screen, user
}

func TestColoursAreForTerminalsAndForThoseWhoWantThem(t *testing.T) {
	_, user := terminal(t)
	file, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, row := range []struct {
		name    string
		out     io.Writer
		noColor string
		want    bool
	}{
		{"a terminal", user, "", true},
		{"a terminal with NO_COLOR", user, "1", false},
		{"a file", file, "", false},
		{"a pipe or a buffer", new(strings.Builder), "", false},
	} {
		t.Setenv("NO_COLOR", row.noColor)
		if p := newPalette(row.out); p.on != row.want || (p.state("x", "down") != "x") != row.want {
			t.Errorf("%s: colours %v", row.name, p.on)
		}
	}
}

func TestWatchingDrawsOverThePictureBeforeOnATerminalAlone(t *testing.T) {
	screen, user := terminal(t)
	once := func(out io.Writer) {
		ctx, stop := context.WithCancel(t.Context())
		_ = watching{interval: time.Second}.run(ctx, out, func(context.Context, io.Writer) error { stop(); return nil })
	}
	var buffer strings.Builder
	once(&buffer)
	if strings.Contains(buffer.String(), "\x1b") {
		t.Errorf("into a pipe: %q", buffer.String())
	}
	once(user)
	drawn := make([]byte, 64)
	n, err := screen.Read(drawn)
	if err != nil || !strings.HasPrefix(string(drawn[:n]), "\x1b[H\x1b[2J") {
		t.Errorf("on a terminal: %q (%v)", drawn[:n], err)
	}
}
