package attach

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"pgregory.net/rapid"
)

// made is the override file, read again: services by name, keys by name.
func made(t *testing.T, compose string, o Options, targets ...Target) (map[string]map[string]any, *Override) {
	t.Helper()
	o.Folder = "./outrider"
	override, err := Make("compose.yaml", []byte(compose), targets, o)
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Services map[string]map[string]any }
	if err := yaml.UnmarshalWithOptions(override.Text, &file, yaml.Strict()); err != nil {
		t.Fatalf("%v in:\n%s", err, override.Text)
	}
	return file.Services, override
}

func sprint(value any) string { return fmt.Sprintf("%v", value) }

func shop(keys string) string {
	return "services:\n  orders: { image: orders }\n  shop:\n    image: shop\n" + keys
}

func TestTheHolderTakesOverWhatBelongsToTheNetwork(t *testing.T) {
	services, override := made(t, shop(`
    container_name: the-shop
    hostname: shop-1
    extra_hosts: ["db:10.0.0.1"]
    dns: 10.0.0.53
    ports: ["127.0.0.1:8080:3000", "9090:9090/udp", { target: 3000, published: 81 }]
    networks: { front: , back: { aliases: [s], ipv4_address: 10.9.0.9 } }
    profiles: [web]
`), Options{}, Target{"shop", 3000})
	holder := services["shop-network"]
	for key, want := range map[string]string{
		"hostname":    "shop-1",
		"extra_hosts": "[db:10.0.0.1]",
		"dns":         "10.0.0.53",
		"ports":       "[127.0.0.1:8080:6187 9090:9090/udp map[published:81 target:6187]]",
		"networks":    "map[back:map[aliases:[s shop the-shop outrider] ipv4_address:10.9.0.9] front:map[aliases:[shop the-shop outrider]]]",
		"profiles":    "[web]",
		"command":     "[hold]",
		"healthcheck": "map[disable:true]",
	} {
		if got := sprint(holder[key]); got != want {
			t.Errorf("the holder's %s: %s, want %s", key, got, want)
		}
	}
	for _, name := range []string{"shop", "shop-outrider"} {
		if got := services[name]["network_mode"]; got != "service:shop-network" {
			t.Errorf("%s: network_mode %v", name, got)
		}
	}
	for _, key := range []string{"ports", "networks", "hostname", "extra_hosts", "dns"} {
		if !strings.Contains(string(override.Text), "\n    "+key+": !reset null\n") {
			t.Errorf("the service keeps its %s, which the engine refuses beside network_mode", key)
		}
	}
	if got := sprint(services["shop-outrider"]["profiles"]); got != "[web]" {
		t.Errorf("the sidecar's profiles: %s", got)
	}
	if len(override.Notes) > 0 {
		t.Errorf("notes: %q", override.Notes)
	}
}

func TestAPortThatLeadsToTheAppLeadsToTheSidecar(t *testing.T) {
	for port, want := range map[string]string{
		`"3000"`: "6187", `3000`: "6187", `"8080:3000"`: "8080:6187", `"8080:3000/tcp"`: "8080:6187",
		`"[::1]:80:3000"`: "[::1]:80:6187", `"${P:-80}:3000"`: "${P:-80}:6187", `"8080:13000"`: "8080:13000",
		`"3000:3000/udp"`: "3000:3000/udp", `"3000-3001:3000-3001"`: "3000-3001:3000-3001",
		`{ target: 3000, protocol: udp }`: "map[protocol:udp target:3000]",
	} {
		services, override := made(t, shop("    ports: ["+port+"]\n"), Options{}, Target{"shop", 3000})
		if got := sprint(services["shop-network"]["ports"]); got != "["+want+"]" {
			t.Errorf("%s: %s, want %s", port, got, want)
		}
		if told, led := len(override.Notes) == 1, strings.Contains(want, "6187"); told == led {
			t.Errorf("%s: notes %q", port, override.Notes)
		}
	}
}

func TestAServiceWithoutNetworksIsHeldInTheDefaultOne(t *testing.T) {
	for _, legacy := range []bool{false, true} {
		services, override := made(t, shop(""), Options{Legacy: legacy}, Target{"shop", 3000})
		if got := sprint(services["shop-network"]["networks"]); got != "map[default:map[aliases:[shop outrider]]]" {
			t.Errorf("networks: %s", got)
		}
		if strings.Contains(string(override.Text), "!reset") {
			t.Errorf("there was nothing to take away:\n%s", override.Text)
		}
	}
}

func TestTheSidecarJoinsWhereNoHolderCanBe(t *testing.T) {
	for _, c := range []struct {
		keys, why string
		legacy    bool
	}{
		{"    ports: [\"80:3000\"]\n    networks: [a]\n", "has no way to take ports, networks away from shop", true},
		{"    extends: { service: orders }\n", "extends another service", false},
		{"    network_mode: bridge\n", "network_mode: bridge", false},
		{"    external_links: [x]\n", "links with names of their own", false},
		{"    links: [\"orders:db\"]\n", "links with names of their own", false},
		{"    sysctls: [net.core.somaxconn=9]\n", "sysctls", false},
		{"    sysctls: { net.core.somaxconn: 9 }\n", "sysctls", false},
		{"  probe: { image: p, network_mode: \"service:shop\" }\n", "probe joined the network of shop already", false},
	} {
		services, override := made(t, shop(c.keys), Options{Legacy: c.legacy}, Target{"shop", 3000})
		text := string(override.Text)
		if override.Forms["shop"] != Joined || services["shop-outrider"]["network_mode"] != "service:shop" || services["shop-network"] != nil {
			t.Errorf("%s: not joined:\n%s", c.keys, text)
		}
		if !strings.Contains(text, c.why) || !strings.Contains(text, "The limit: ") || strings.Contains(text, "!reset") {
			t.Errorf("%s: the file does not say %q and the limit:\n%s", c.keys, c.why, text)
		}
		if got := sprint(services["shop"]["ports"]); got != "[127.0.0.1:6187:6187]" {
			t.Errorf("%s: ports %s", c.keys, got)
		}
	}
}

func TestSeveralSidecarsJoinAtPortsOfTheirOwn(t *testing.T) {
	services, _ := made(t, strings.ReplaceAll(shop("    ports: [80]\n"), "image: orders", "ports: [81]"), Options{Legacy: true}, Target{"shop", 3000}, Target{"orders", 80})
	if a, b := sprint(services["shop"]["ports"]), sprint(services["orders"]["ports"]); a == b {
		t.Errorf("both are published at %s", a)
	}
}

func TestWhatStandsInTheWayIsToldWithItsLine(t *testing.T) {
	for _, c := range []struct{ compose, want string }{
		{shop("    network_mode: host\n"), "compose.yaml:5: shop: it uses the network of the host"},
		{shop("    network_mode: none\n"), "compose.yaml:5: shop: it has no network"},
		{shop("    network_mode: \"service:orders\"\n"), "compose.yaml:5: shop: it shares the network of orders: attach the sidecar to that (--compose orders:3000)"},
		{shop("    network_mode: \"container:x\"\n"), "compose.yaml:5: shop: it shares the network of the container x"},
		{shop("    deploy: { replicas: 3 }\n"), "compose.yaml:5: shop: it has 3 containers"},
		{shop("    deploy: { mode: global }\n"), "compose.yaml:5: shop: it has global containers"},
		{shop("    scale: 2\n"), "compose.yaml:5: shop: it has 2 containers"},
		{shop("    networks: 7\n"), "compose.yaml:5: shop: wants a list of networks"},
		{shop("  shop-outrider: { image: x }\n"), "compose.yaml:5: shop-outrider: there is a service of this name already"},
		{"services: { orders: { image: x }, shpo: { image: y } }", `compose.yaml has no service "shop": its services are orders, shpo`},
		{"shop: { image: x }", "compose.yaml has no services"},
		{"", "compose.yaml has no services"},
		{"services: [a]", "compose.yaml is not a compose file"},
		{"\t", "compose.yaml"},
	} {
		_, err := Make("compose.yaml", []byte(c.compose), []Target{{"shop", 3000}}, Options{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.compose, err, c.want)
		}
	}
}

func TestEverythingThatStandsInTheWayIsToldAtOnce(t *testing.T) {
	_, err := Make("compose.yaml", []byte(shop("    scale: 2\n")), []Target{{"shop", 1}, {"none", 1}, {"shop", 2}}, Options{})
	for _, want := range []string{"2 containers", `no service "none"`, "shop stands there twice"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not tell %q", err, want)
		}
	}
}

func TestATargetIsAServiceAndAPort(t *testing.T) {
	if got, err := ParseTarget("shop:3000"); err != nil || got != (Target{"shop", 3000}) {
		t.Errorf("%v, %v", got, err)
	}
	for text, want := range map[string]string{
		"shop": "is not SERVICE:PORT", ":3000": "is not SERVICE:PORT", "shop:http": "a number from 1 to 65535", "shop:0": "a number from 1",
		"shop:65536": "a number from 1", "shop:80:80": "a number from 1", "shop:6188": "the sidecar itself uses the ports 6187 to 6191",
	} {
		if _, err := ParseTarget(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// A YAML that is written and read again is the same.
func TestBlocksAreWhatTheyWereMadeOf(t *testing.T) {
	texts := rapid.OneOf(rapid.SampledFrom([]string{"", "25:25", "no", "~", "1e3", "0x1f", "a: b", "- a", "#", "'", "\"", "a\nb", "${A}", "<<", "&a", "*a", "!x", "null"}), rapid.StringMatching(`[ -~äß\t\n]{0,12}`))
	var value func(depth int) *rapid.Generator[any]
	value = func(depth int) *rapid.Generator[any] {
		return rapid.Custom(func(t *rapid.T) any {
			switch rapid.IntRange(0, 3+min(depth, 2)).Draw(t, "kind") {
			case 0:
				return uint64(rapid.IntRange(0, 99999).Draw(t, "number"))
			case 1:
				return rapid.Bool().Draw(t, "bool")
			case 4:
				list := rapid.SliceOfN(value(depth-1), 0, 3).Draw(t, "list")
				return slices.Clip(append([]any{}, list...))
			case 5:
				mapping := yaml.MapSlice{}
				for _, key := range rapid.SliceOfNDistinct(texts, 0, 3, rapid.ID[string]).Draw(t, "keys") {
					mapping = append(mapping, yaml.MapItem{Key: key, Value: value(depth-1).Draw(t, "value")})
				}
				return mapping
			}
			return texts.Draw(t, "text")
		})
	}
	rapid.Check(t, func(t *rapid.T) {
		want := yaml.MapSlice{{Key: "a", Value: value(3).Draw(t, "value")}}
		text := block(want, "  ")
		var got yaml.MapSlice
		if err := yaml.UnmarshalWithOptions([]byte(text), &got, yaml.UseOrderedMap()); err != nil || sprint(got) != sprint(want) {
			t.Fatalf("%#v became\n%s\nwhich is %#v (%v)", want, text, got, err)
		}
	})
}
