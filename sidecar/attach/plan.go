package attach

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
)

// plan is how a sidecar is attached to one service.
type plan struct {
	Target
	form      Form
	why       string        // why the form is not Holder
	moved     yaml.MapSlice // what the holder takes over
	reset     []string      // keys that the service has to lose
	profiles  any
	published int // where the sidecar is reached from the host, when it joins
	notes     []string
}

// movable are the keys that belong to whoever owns the network namespace. The
// engine refuses each of them for a container that joins another's.
func movable() []string {
	return []string{"ports", "expose", "networks", "hostname", "domainname", "extra_hosts", "dns", "dns_search", "dns_opt", "mac_address"}
}

func (p *project) plan(t Target, o Options) (plan, error) {
	s, err := p.find(t.Service)
	if err != nil {
		return plan{}, err
	}
	if err := p.attachable(t, s); err != nil {
		return plan{}, err
	}
	made := plan{Target: t, profiles: s["profiles"]}
	if made.why = p.whyJoined(t.Service, s); made.why != "" {
		return made.joined(), nil
	}
	for _, key := range movable() {
		if value, written := s[key]; written {
			made.reset = append(made.reset, key)
			if key != "networks" && key != "ports" {
				made.moved = append(made.moved, yaml.MapItem{Key: key, Value: value})
			}
		}
	}
	if _, written := s["links"]; written { // the names of services are known without
		made.reset = append(made.reset, "links")
	}
	if o.Legacy && len(made.reset) > 0 {
		made.why = fmt.Sprintf("docker-compose 1.x has no way to take %s away from %s", strings.Join(made.reset, ", "), t.Service)
		return made.joined(), nil
	}
	networks, err := p.networks(t.Service, s)
	if err != nil {
		return plan{}, err
	}
	made.moved = append(made.moved, yaml.MapItem{Key: "networks", Value: networks})
	made.movePorts(s)
	return made, nil
}

// joined is the plan without a holder, which says why.
func (m plan) joined() plan {
	m.form, m.moved, m.reset = Joined, nil, nil
	m.notes = []string{fmt.Sprintf("the sidecar joins the network of %s, since %s", m.Service, m.why)}
	return m
}

// attachable tells why no sidecar can stand beside the service.
func (p *project) attachable(t Target, s service) error {
	mode, _ := s["network_mode"].(string)
	switch kind, owner, _ := strings.Cut(mode, ":"); {
	case mode == "host":
		return p.fault(t.Service, "network_mode", "it uses the network of the host: a sidecar is no container beside it but a program on the host, or a service with the same line")
	case mode == "none":
		return p.fault(t.Service, "network_mode", "it has no network: there is nothing to proxy")
	case kind == "service":
		return p.fault(t.Service, "network_mode", "it shares the network of %s: attach the sidecar to that (--compose %s:%d)", owner, owner, t.Port)
	case kind == "container":
		return p.fault(t.Service, "network_mode", "it shares the network of the container %s, which is not of this file: write a service for the sidecar with the same line", owner)
	}
	for _, key := range []string{"scale", "deploy"} {
		if n := replicas(s, key); n != "" && n != "1" {
			return p.fault(t.Service, key, "it has %s containers: a sidecar stands beside one. Make a service of each, with a sidecar of its own", n)
		}
	}
	for _, name := range []string{t.Sidecar(), t.Holder()} {
		if _, taken := p.services[name]; taken {
			return p.fault(name, "", "there is a service of this name already: rename it, the sidecar of %s needs the name", t.Service)
		}
	}
	return nil
}

// replicas is how many containers a key asks for, as it is written; "" when it does
// not say.
func replicas(s service, key string) string {
	value := s[key]
	if key == "deploy" {
		deploy, _ := value.(yaml.MapSlice)
		if value = deploy.ToMap()["replicas"]; value == nil && deploy.ToMap()["mode"] == "global" {
			return "global"
		}
	}
	if value == nil {
		return ""
	}
	return fmt.Sprint(value)
}

// whyJoined tells why another container cannot own the service's network.
func (p *project) whyJoined(name string, s service) string {
	mode, _ := s["network_mode"].(string)
	joiners := p.joiners(name)
	switch {
	case s["extends"] != nil:
		return name + " extends another service, whose ports and networks are not seen here"
	case mode != "":
		return fmt.Sprintf("%s has network_mode: %s, which no network of this project replaces", name, mode)
	case len(joiners) > 0:
		return strings.Join(joiners, ", ") + " joined the network of " + name + " already"
	case s["external_links"] != nil || hasAliases(s["links"]):
		return name + " has links with names of their own, which a network does not know"
	case tunesNetwork(s["sysctls"]):
		return name + " sets sysctls of its network"
	}
	return ""
}

// hasAliases tells whether a link gives a service another name.
func hasAliases(links any) bool {
	list, _ := links.([]any)
	for _, link := range list {
		service, alias, renamed := strings.Cut(fmt.Sprint(link), ":")
		if renamed && alias != service {
			return true
		}
	}
	return false
}

func tunesNetwork(sysctls any) bool {
	switch sysctls := sysctls.(type) {
	case []any:
		for _, s := range sysctls {
			if strings.HasPrefix(fmt.Sprint(s), "net.") {
				return true
			}
		}
	case yaml.MapSlice:
		for _, s := range sysctls {
			if strings.HasPrefix(fmt.Sprint(s.Key), "net.") {
				return true
			}
		}
	}
	return false
}

// mesh is the name by which sidecars find each other.
const mesh = "outrider"

// networks are those of the service, with the names that it had in them.
func (p *project) networks(name string, s service) (yaml.MapSlice, error) {
	names := []any{name, mesh}
	if container, ok := s["container_name"].(string); ok && container != name {
		names = []any{name, container, mesh}
	}
	switch written := s["networks"].(type) {
	case nil:
		return yaml.MapSlice{{Key: "default", Value: withAliases(nil, names)}}, nil
	case []any:
		var networks yaml.MapSlice
		for _, network := range written {
			networks = append(networks, yaml.MapItem{Key: network, Value: withAliases(nil, names)})
		}
		return networks, nil
	case yaml.MapSlice:
		var networks yaml.MapSlice
		for _, n := range written {
			settings, _ := n.Value.(yaml.MapSlice)
			networks = append(networks, yaml.MapItem{Key: n.Key, Value: withAliases(settings, names)})
		}
		return networks, nil
	}
	return nil, p.fault(name, "networks", "wants a list of networks, or a section with each")
}

func withAliases(settings yaml.MapSlice, names []any) yaml.MapSlice {
	with := yaml.MapSlice{}
	aliases := names
	for _, item := range settings {
		if item.Key == "aliases" {
			own, _ := item.Value.([]any)
			aliases = append(append([]any{}, own...), names...)
			continue
		}
		with = append(with, item)
	}
	return append(with, yaml.MapItem{Key: "aliases", Value: aliases})
}

// movePorts publishes what the service published. What led to the app leads to the
// sidecar in front of it.
func (m *plan) movePorts(s service) {
	written, _ := s["ports"].([]any)
	if len(written) == 0 {
		return
	}
	var ports []any
	led := false
	for _, port := range written {
		moved, front := m.inFront(port)
		led = led || front
		ports = append(ports, moved)
	}
	m.moved = append(m.moved, yaml.MapItem{Key: "ports", Value: ports})
	if !led {
		m.notes = append(m.notes, fmt.Sprintf("no published port of %s leads to %d: they lead where they did, past the sidecar. To lead one through it, have it end in %d", m.Service, m.Port, In))
	}
}

func (m *plan) inFront(port any) (moved any, led bool) {
	app := strconv.Itoa(m.Port)
	if long, ok := port.(yaml.MapSlice); ok {
		copied := append(yaml.MapSlice{}, long...)
		for i, item := range copied {
			if item.Key == "target" && fmt.Sprint(item.Value) == app && long.ToMap()["protocol"] != "udp" {
				copied[i].Value, led = In, true
			}
		}
		return copied, led
	}
	short := strings.TrimSuffix(fmt.Sprint(port), "/tcp")
	if before, ok := strings.CutSuffix(short, app); ok && (before == "" || strings.HasSuffix(before, ":")) {
		return before + strconv.Itoa(In), true
	}
	return port, false
}
