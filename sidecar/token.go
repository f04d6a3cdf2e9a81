package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"outrider/sidecar/admin"
	"outrider/sidecar/app"
	"outrider/sidecar/config"
)

// adminToken gives a sidecar that runs the tokens of its admin listeners.
type adminToken struct{ own string }

// of is the token in the file that the configuration names; else one of our own, the
// same for as long as we run, which goes into a file that the other verbs of the same
// user find: that file belongs to the sidecar which has the port.
func (t *adminToken) of(c config.Admin) (app.Token, error) {
	if c.TokenFile != "" {
		text, err := configuredToken(c.TokenFile)
		return app.Token{Text: text}, err
	}
	if t.own == "" {
		t.own = admin.NewToken()
	}
	return app.Token{Text: t.own, Publish: func() error { return publishToken(c.Listen, t.own) }}, nil
}

func publishToken(listen, token string) error {
	path, err := runtimeTokenFile(listen)
	if err != nil {
		return err
	}
	return admin.WriteToken(path, token)
}

// findAdminToken is the token of a sidecar that runs with this configuration.
func findAdminToken(c config.Admin) (string, error) {
	if c.TokenFile != "" {
		return configuredToken(c.TokenFile)
	}
	path, err := runtimeTokenFile(c.Listen)
	if err != nil {
		return "", err
	}
	token, err := admin.ReadToken(path)
	if err != nil {
		return "", fmt.Errorf("no token for the admin listener (is outrider running, as the same user?): %w", err)
	}
	return token, nil
}

// tokenForm is what an Authorization field can carry: RFC 6750, section 2.1.
var tokenForm = regexp.MustCompile(`^[A-Za-z0-9._~+/-]+=*$`)

// configuredToken is the token in the file that admin.token_file names. Who wrote
// that name vouches for the file: secrets of Kubernetes and compose are symbolic
// links, belong to root and can be read by others, and are fine.
func configuredToken(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil { // rare: loading the configuration has read it, too, and tells mode and owner
		return "", fmt.Errorf("admin.token_file: %w", err)
	}
	token := strings.TrimSpace(string(text))
	if !tokenForm.MatchString(token) {
		return "", fmt.Errorf("admin.token_file: %s does not hold a token: write one line of letters, digits and -._~+/ into it", path)
	}
	return token, nil
}

// runtimeTokenFile is where a running sidecar leaves the token of its admin
// listener, for the other verbs of the same user.
func runtimeTokenFile(listen string) (string, error) {
	_, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", fmt.Errorf("admin.listen %q: %w", listen, err)
	}
	dir := os.Getenv("XDG_RUNTIME_DIR")
	if dir == "" {
		dir = filepath.Join(os.TempDir(), fmt.Sprintf("outrider-%d", os.Getuid()))
	} else {
		dir = filepath.Join(dir, "outrider")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("folder for the admin token (set admin.token_file to choose another place): %w", err)
	}
	return filepath.Join(dir, "admin-"+port+".token"), nil
}
