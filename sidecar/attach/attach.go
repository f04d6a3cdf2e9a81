// Package attach puts a sidecar beside a service of somebody's compose file by an
// override file, which compose reads after it. Delete that file, and the sidecar
// is gone.
package attach

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Ports of the sidecar. Who comes to In is led to the app; what the app asks at Out
// the script decides on.
const (
	In  = 6187
	Out = 6188
)

// firstOwn to lastOwn are ports which an app beside the sidecar cannot have.
const firstOwn, lastOwn = In, 6191

// Target is a service to attach a sidecar to, and the port that it listens on in
// its container.
type Target struct {
	Service string
	Port    int
}

// ParseTarget reads SERVICE:PORT.
func ParseTarget(s string) (Target, error) {
	service, port, found := strings.Cut(s, ":")
	if !found || service == "" {
		return Target{}, fmt.Errorf("%q is not SERVICE:PORT, such as shop:3000, the port being the one that the app listens on in its container", s)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	switch {
	case err != nil || n == 0:
		return Target{}, fmt.Errorf("%q: the port is a number from 1 to 65535, the one that the app listens on in its container", s)
	case firstOwn <= n && n <= lastOwn:
		return Target{}, fmt.Errorf("%q: the sidecar itself uses the ports %d to %d; have the app listen on another one", s, firstOwn, lastOwn)
	}
	return Target{service, int(n)}, nil
}

// Sidecar is the name of the sidecar's own service.
func (t Target) Sidecar() string { return t.Service + "-outrider" }

// Holder is the name of the service that owns the network namespace.
func (t Target) Holder() string { return t.Service + "-network" }

// Form is how app and sidecar come to share a network namespace.
type Form uint8

const (
	// Holder has a third container own it, which app and sidecar join: either can
	// be restarted alone.
	Holder Form = iota
	// Joined has the sidecar join the app's: nothing of the service changes, but
	// whenever the app's container restarts, the sidecar has to.
	Joined
)

// Options say what the override file has to be fit for.
type Options struct {
	// Legacy is for docker-compose 1.x, which knows no way to take a key away from
	// a service: where the holder needs that, the sidecar joins the service.
	Legacy bool
	// Folder is where the configuration of each sidecar is, in a folder named as
	// the service, as seen from the compose file.
	Folder string
}

// Override is the file to write.
type Override struct {
	Text  []byte
	Forms map[string]Form // by service
	Notes []string        // what its reader should know
}

// Make makes the override file for the compose file with the given name and text.
// The error tells everything that stands in the way.
func Make(file string, text []byte, targets []Target, o Options) (*Override, error) {
	project, err := parse(file, text)
	if err != nil {
		return nil, err
	}
	made := &Override{Forms: map[string]Form{}}
	var plans []plan
	var faults []error
	for i, t := range targets {
		if slices.ContainsFunc(targets[:i], func(other Target) bool { return other.Service == t.Service }) {
			faults = append(faults, fmt.Errorf("%s stands there twice: one sidecar leads to one port", t.Service))
			continue
		}
		p, err := project.plan(t, o)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		p.published = In + i
		plans = append(plans, p)
		made.Forms[t.Service] = p.form
		made.Notes = append(made.Notes, p.notes...)
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	made.Text, err = write(plans, o)
	return made, err
}
