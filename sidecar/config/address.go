package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

// emptiness says whether an empty text means "off".
type emptiness bool

const (
	required emptiness = false
	orOff    emptiness = true
)

// address is where we listen: :port, host:port or ip:port.
func address(into *string, empty emptiness) value {
	kind := "address"
	if empty == orOff {
		kind = "address, or empty"
	}
	return text(into, kind, `an address such as ":6188"`, "", func(s string) error {
		if s == "" && empty == orOff {
			return nil
		}
		return checkListenAddress(s)
	})
}

func checkListenAddress(s string) error {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return fmt.Errorf("%q is not an address; write one such as \":6188\" or \"127.0.0.1:6188\"", s)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("%q: the port is a number from 0 to 65535, not %q", s, port)
	}
	if host == "" {
		return nil
	}
	_, err = parseHost(host)
	return err
}

// parseHostPort splits an address that one connects to: both parts must be there.
func parseHostPort(s string) (string, uint16, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return "", 0, addressFault(s)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return "", 0, fmt.Errorf("%q: the port is a number from 1 to 65535, not %q", s, port)
	}
	host, err = parseHost(host)
	return host, uint16(n), err
}

func addressFault(s string) error {
	if ip, err := netip.ParseAddr(s); err == nil && ip.Is6() {
		return fmt.Errorf("%q has no port; write \"[%s]:8080\"", s, s)
	}
	if _, err := parseHost(s); err == nil {
		return fmt.Errorf("%q has no port; write %q", s, s+":8080")
	}
	return fmt.Errorf("%q is not an address; write host:port", s)
}

var (
	hostForm   = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?$`)
	numberLast = regexp.MustCompile(`(^|\.)[0-9]+\.?$`)
)

// parseHost is a name in lower case or an IP address in its usual form.
func parseHost(host string) (string, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap().String(), nil
	}
	const longest = 253
	switch {
	case host == "":
		return "", errors.New("the host is missing; write host:port")
	case numberLast.MatchString(host):
		return "", fmt.Errorf("%q is neither an IP address nor a host name", host)
	case len(host) > longest || !hostForm.MatchString(host):
		return "", fmt.Errorf("%q is not a host name", host)
	}
	return strings.ToLower(host), nil
}

// loopsTo reports whether connecting to host:port reaches a listener at address.
func loopsTo(host string, port uint16, address string) bool {
	listenHost, listenPort, err := net.SplitHostPort(address)
	if err != nil || listenPort == "0" || listenPort != strconv.Itoa(int(port)) {
		return false
	}
	if !isHere(host) {
		return host == strings.ToLower(listenHost)
	}
	return listenHost == "" || isHere(listenHost)
}

// isHere reports whether host is loopback or the unspecified address, which reaches loopback too.
func isHere(host string) bool {
	return isLoopback(host) || isAny(host)
}

func isLoopback(host string) bool {
	if strings.EqualFold(strings.TrimSuffix(host, "."), "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

func isAny(host string) bool {
	if host == "" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsUnspecified()
}

// collide reports whether two addresses cannot be listened on at once.
func collide(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	if errA != nil || errB != nil || portA != portB || portA == "0" {
		return false
	}
	return isAny(hostA) || isAny(hostB) || strings.EqualFold(hostA, hostB) || isLocalName(hostA, hostB)
}

// isLocalName reports whether one is the name localhost and the other a usual address of it.
func isLocalName(a, b string) bool {
	named := strings.EqualFold(a, "localhost") || strings.EqualFold(b, "localhost")
	usual := func(h string) bool { return strings.EqualFold(h, "localhost") || h == "127.0.0.1" || h == "::1" }
	return named && usual(a) && usual(b)
}
