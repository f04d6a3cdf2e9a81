package config

import (
	"errors"
	"fmt"
	"net"
	"path"
	"regexp"
	"strconv"
	"strings"
)

const (
	variablePattern = `^[A-Za-z_][A-Za-z0-9_]*$`
	namePattern     = `^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$`
	clusterPattern  = `^[a-z0-9][a-z0-9_-]{0,62}$`
)

var (
	variableForm = regexp.MustCompile(variablePattern)
	nameForm     = regexp.MustCompile(namePattern)
	clusterForm  = regexp.MustCompile(clusterPattern)
)

func checkName(s string) error {
	if !nameForm.MatchString(s) {
		return fmt.Errorf("%q is not a name; use up to 63 letters, digits, '-', '_' and '.'", s)
	}
	return nil
}

func clusterName(into *string) value {
	return text(into, "cluster", "a cluster's name", clusterPattern, checkClusterName)
}

func checkClusterName(s string) error {
	if !clusterForm.MatchString(s) {
		return fmt.Errorf("%q is not a cluster's name; use up to 63 lower-case letters, digits, '-' and '_', a letter or digit first", s)
	}
	return nil
}

func checkNotEmpty(s string) error {
	if s == "" {
		return errors.New("empty; write a value, or remove the key")
	}
	return nil
}

func checkApp(s string) error {
	if s == "" {
		return nil
	}
	_, _, err := parseHostPort(s)
	return err
}

func checkScriptName(s string) error {
	switch ext := path.Ext(s); ext {
	case ".tsx", ".jsx":
		return fmt.Errorf("%q: a script decides where requests go, and has no elements: name it .ts or .js", s)
	}
	return nil
}

// checkHostField accepts what a Host field may be: a host with or without a port.
func checkHostField(s string) error {
	host := s
	if h, port, err := net.SplitHostPort(s); err == nil {
		host = h
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return fmt.Errorf("%q: the port is a number from 1 to 65535, not %q", s, port)
		}
	}
	_, err := parseHost(strings.Trim(host, "[]"))
	return err
}

const hostPass = "pass"

func checkClusterHost(s string) error {
	if s == hostPass {
		return nil
	}
	return checkHostField(s)
}

func checkCheckHost(s string) error { return checkHostField(s) }

func checkServerName(s string) error {
	_, err := parseHost(s)
	return err
}

// checkPath accepts the path and query of a request line (RFC 9112 section 3.2.1).
func checkPath(s string) error {
	if !strings.HasPrefix(s, "/") {
		return fmt.Errorf("%q is not a path; it begins with /", s)
	}
	for _, r := range s {
		if r <= ' ' || r >= 0x7f || r == '#' {
			return fmt.Errorf("%q holds %q, which cannot stand in a request line; percent-encode it", s, r)
		}
	}
	return nil
}

// checkService accepts the full name of a gRPC service, and none.
func checkService(s string) error {
	for _, r := range s {
		if r != '.' && r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') {
			return fmt.Errorf("%q is no name of a service; write one such as shop.v1.Cart", s)
		}
	}
	return nil
}

func checkVariable(s string) error {
	if !variableForm.MatchString(s) {
		return fmt.Errorf("%q is no name of an environment variable; write one such as STAGE", s)
	}
	return nil
}
