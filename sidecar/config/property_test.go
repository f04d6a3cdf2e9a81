package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/goccy/go-yaml"
	"pgregory.net/rapid"
)

func milliseconds(low, high int) *rapid.Generator[time.Duration] {
	return rapid.Map(rapid.IntRange(low, high), func(n int) time.Duration { return time.Duration(n) * time.Millisecond })
}

// drawnCluster is a valid cluster and what one writes for it.
func drawnCluster(t *rapid.T, name string) (Cluster, map[string]any) {
	c := Cluster{
		Name:      name,
		Resolve:   Resolve{milliseconds(100, 9999).Draw(t, "interval"), rapid.SampledFrom([]Family{FamilyAuto, FamilyIPv4, FamilyIPv6}).Draw(t, "family")},
		Balance:   rapid.SampledFrom([]Balance{BalanceRoundRobin, BalanceLeastRequests, BalanceRandomTwo, BalanceHash}).Draw(t, "balance"),
		Check:     drawnCheck(t),
		Timeouts:  Timeouts{milliseconds(1, 9999).Draw(t, "connect"), milliseconds(1, 9999).Draw(t, "response"), milliseconds(1, 9999).Draw(t, "stream"), milliseconds(1, 9999).Draw(t, "idle")},
		Passive:   anyPassive(t),
		SlowStart: milliseconds(0, 9999).Draw(t, "slow start"),
		InFlight:  rapid.IntRange(1, 9999).Draw(t, "in flight"),
		Retries:   rapid.IntRange(0, 10).Draw(t, "retries"),
		Host:      rapid.SampledFrom([]string{"", "www.example.com", "h:81"}).Draw(t, "host"),
		OnAllDown: rapid.SampledFrom([]OnAllDown{OnAllDownFail, OnAllDownTry}).Draw(t, "all down"),
		SendProxy: rapid.SampledFrom([]SendProxy{SendProxyOff, SendProxyV1, SendProxyV2}).Draw(t, "send proxy"),
		Protocol:  rapid.SampledFrom([]Protocol{ProtocolH1, ProtocolAuto, ProtocolH2C}).Draw(t, "protocol"),
	}
	if c.Protocol != ProtocolH2C && c.Check.Type == CheckGRPC {
		c.Protocol = ProtocolH2C
	}
	if c.Protocol == ProtocolH2C {
		c.SendProxy = SendProxyOff
	}
	var backends []any
	for i := range rapid.IntRange(1, 3).Draw(t, "backends") {
		b := Backend{Host: fmt.Sprintf("b%d.example", i), Port: rapid.Uint16Min(1).Draw(t, "port"), Weight: rapid.IntRange(1, 1000).Draw(t, "weight")}
		b.Raw = b.Address()
		c.Backends = append(c.Backends, b)
		backends = append(backends, map[string]any{"address": b.Raw, "weight": b.Weight})
	}
	doc := map[string]any{
		"backends":   backends,
		"resolve":    map[string]any{"interval": c.Resolve.Interval.String(), "family": string(c.Resolve.Family)},
		"balance":    string(c.Balance),
		"check":      checkDocument(c.Check),
		"timeouts":   map[string]any{"connect": c.Timeouts.Connect.String(), "response": c.Timeouts.Response.String(), "stream_idle": c.Timeouts.StreamIdle.String(), "upstream_idle": c.Timeouts.UpstreamIdle.String()},
		"retries":    c.Retries,
		"passive":    passiveAsWritten(c.Passive),
		"slow_start": c.SlowStart.String(), "max_in_flight": c.InFlight,
		"host":        hostPass,
		"on_all_down": string(c.OnAllDown),
		"send_proxy":  string(c.SendProxy),
		"protocol":    string(c.Protocol),
	}
	if c.Host != "" {
		doc["host"] = c.Host
	}
	if c.Balance == BalanceHash {
		c.HashKey = rapid.SampledFrom([]HashKey{{}, {Header: "X-User"}, {Cookie: "sid"}}).Draw(t, "hash key")
		doc["hash_key"] = c.HashKey.String()
	}
	if c.Protocol != ProtocolH2C && rapid.Bool().Draw(t, "tls") {
		c.TLS = &TLS{ServerName: "secure.example"}
		doc["tls"] = map[string]any{"server_name": "secure.example", "ca": "system", "insecure_skip_verify": false}
	}
	return c, doc
}

func drawnCheck(t *rapid.T) Check {
	anyText := rapid.StringOfN(rapid.RuneFrom([]rune("aZ09 :#{}[]'\"$&*!|>%@`,\\-é\n\r\t\x00")), 0, 12, -1)
	c := Check{
		Type:     rapid.SampledFrom([]CheckType{CheckTCP, CheckTLS, CheckHTTP, CheckGRPC, CheckOff}).Draw(t, "type"),
		Interval: milliseconds(2000, 5000).Draw(t, "interval"), Timeout: milliseconds(1, 2000).Draw(t, "timeout"),
		Rise: rapid.IntRange(1, 100).Draw(t, "rise"), Fall: rapid.IntRange(1, 100).Draw(t, "fall"),
		Jitter: float64(rapid.IntRange(0, 50).Draw(t, "jitter")) / 100,
		Path:   "/", Status: []StatusRange{{200, 399}},
	}
	switch c.Type {
	case CheckGRPC:
		c.Service = rapid.StringMatching(`([a-z]+\.[A-Z][a-z]+)?`).Draw(t, "service")
	case CheckTCP:
		c.Send, c.Expect = anyText.Draw(t, "send"), anyText.Draw(t, "expect")
	case CheckHTTP:
		c.Path = "/" + rapid.StringMatching(`[a-z0-9%?=&]{0,9}`).Draw(t, "path")
		c.Body = anyText.Draw(t, "body")
		c.Headers = []Header{{"X-A", rapid.StringMatching(`([!-~]([ -~]{0,8}[!-~])?)?`).Draw(t, "header")}}
		low := rapid.IntRange(100, 599).Draw(t, "low")
		c.Status = []StatusRange{{low, rapid.IntRange(low, 599).Draw(t, "high")}, {200, 200}}
	}
	return c
}

func checkDocument(c Check) map[string]any {
	doc := map[string]any{"type": string(c.Type), "interval": c.Interval.String(), "timeout": c.Timeout.String(), "rise": c.Rise, "fall": c.Fall,
		"jitter": fmt.Sprintf("%.0f%%", c.Jitter*100)}
	dollars := func(s string) string { return strings.ReplaceAll(s, "$", "$$") }
	switch c.Type {
	case CheckGRPC:
		doc["service"] = c.Service
	case CheckTCP:
		doc["send"], doc["expect"] = dollars(c.Send), dollars(c.Expect)
	case CheckHTTP:
		doc["path"], doc["body"] = c.Path, dollars(c.Body)
		doc["headers"] = map[string]any{"X-A": dollars(c.Headers[0].Value)}
		doc["status"] = c.Status[0].String() + "," + c.Status[1].String()
	}
	return doc
}

// drawn is a valid Config and the document that one writes for it.
func drawn(t *rapid.T) (*Config, map[string]any) {
	c := &Config{
		File:           "outrider.yaml",
		Name:           rapid.StringMatching(`[A-Za-z]([A-Za-z0-9._-]{0,20}[A-Za-z])?`).Filter(func(s string) bool { return !isKeyword(s) }).Draw(t, "name"),
		Listen:         []Listener{{Name: "in", Address: "127.0.0.1:0", Cluster: "c0", Forwarded: rapid.SampledFrom([]Forwarded{ForwardedAppend, ForwardedReplace, ForwardedOff}).Draw(t, "forwarded"), ProxyProtocol: rapid.Bool().Draw(t, "proxy protocol")}},
		DefaultCluster: "c0",
		StateDir:       rapid.SampledFrom([]string{"", "state"}).Draw(t, "state_dir"),
		Script: Script{Timeout: milliseconds(1, 9999).Draw(t, "timeout"), OnError: rapid.SampledFrom([]string{OnErrorFail, "c0"}).Draw(t, "on_error"), Rollback: Rollback{
			ErrorRate: rapid.SampledFrom([]float64{0, 0.01, 1}).Draw(t, "error rate"), MinErrors: rapid.IntRange(1, 1000).Draw(t, "min errors"),
			Window: milliseconds(1000, 9999).Draw(t, "rollback window"),
		}, MaxMoved: rapid.SampledFrom([]float64{0, 0.1, 1}).Draw(t, "max moved"), Record: rapid.IntRange(0, 5000).Draw(t, "record"), Shadow: Shadow{Sample: rapid.SampledFrom([]float64{0, 0.1, 1}).Draw(t, "sample")}},
		AmbiguousPaths: rapid.SampledFrom([]AmbiguousPaths{AmbiguousPathsPass, AmbiguousPathsRefuse}).Draw(t, "paths"),
		Limits: Limits{Connections: rapid.IntRange(1, 1000).Draw(t, "connections"), Backlog: rapid.IntRange(1, 1000).Draw(t, "backlog"), Head: int64(rapid.IntRange(1024, 1<<20).Draw(t, "head")), Fields: rapid.IntRange(1, 1000).Draw(t, "fields"),
			HeadTimeout: milliseconds(1, 9999).Draw(t, "head timeout"), ClientIdle: milliseconds(1, 9999).Draw(t, "client idle"), HalfClose: milliseconds(0, 9999).Draw(t, "half close")},
		Status: Status{Listen: rapid.SampledFrom([]string{"", ":6190", "[::1]:1"}).Draw(t, "status")},
		Admin:  Admin{Listen: rapid.SampledFrom([]string{"", "localhost:7", "[::1]:8"}).Draw(t, "admin"), Hosts: []string{"admin.example"}},
		Log: Log{Level: rapid.SampledFrom([]string{"error", "warn", "info", "debug"}).Draw(t, "level"), Format: rapid.SampledFrom([]LogFormat{LogAuto, LogText, LogJSON}).Draw(t, "format"), Access: AccessLog{
			Mode:   rapid.SampledFrom([]AccessMode{AccessErrors, AccessAll, AccessOff}).Draw(t, "mode"),
			Sample: rapid.SampledFrom([]float64{0, 0.01, 0.5, 1}).Draw(t, "sample"),
			File:   rapid.SampledFrom([]string{AccessStdout, "access.log"}).Draw(t, "file"),
		}},
		Shutdown: Shutdown{Drain: milliseconds(0, 9999).Draw(t, "drain"), Grace: milliseconds(0, 9999).Draw(t, "grace")},
		Dev:      rapid.Bool().Draw(t, "dev"),
	}
	c.TrustedProxies, _ = parseNetwork("10.0.0.0/8")
	trusted := []any{"10.0.0.0/8"}
	clusterDocs := map[string]any{}
	for i := range rapid.IntRange(1, 3).Draw(t, "clusters") {
		name := fmt.Sprintf("c%d", i)
		one, doc := drawnCluster(t, name)
		c.Clusters = append(c.Clusters, one)
		clusterDocs[name] = doc
	}
	doc := map[string]any{
		"name": c.Name, "default_cluster": c.DefaultCluster, "ambiguous_paths": string(c.AmbiguousPaths), "dev": c.Dev,
		"listen":    []any{map[string]any{"name": "in", "address": "127.0.0.1:0", "cluster": "c0", "forwarded": string(c.Listen[0].Forwarded), "proxy_protocol": c.Listen[0].ProxyProtocol}},
		"state_dir": c.StateDir,
		"script": map[string]any{"timeout": c.Script.Timeout.String(), "on_error": c.Script.OnError, "shadow": map[string]any{"sample": fmt.Sprintf("%g%%", c.Script.Shadow.Sample*100)}, "max_moved": fmt.Sprintf("%g%%", c.Script.MaxMoved*100), "record": c.Script.Record, "rollback": map[string]any{
			"error_rate": fmt.Sprintf("%g%%", c.Script.Rollback.ErrorRate*100), "min_errors": c.Script.Rollback.MinErrors, "window": c.Script.Rollback.Window.String()}},
		"clusters":        clusterDocs,
		"trusted_proxies": trusted,
		"limits": map[string]any{"connections": c.Limits.Connections, "backlog": c.Limits.Backlog, "head": formatSize(c.Limits.Head), "fields": c.Limits.Fields,
			"head_timeout": c.Limits.HeadTimeout.String(), "client_idle": c.Limits.ClientIdle.String(), "half_close": c.Limits.HalfClose.String()},
		"status": map[string]any{"listen": c.Status.Listen},
		"admin":  map[string]any{"listen": c.Admin.Listen, "hosts": []any{"admin.example"}},
		"log": map[string]any{"level": c.Log.Level, "format": string(c.Log.Format),
			"access": map[string]any{"mode": string(c.Log.Access.Mode), "sample": fmt.Sprintf("%g%%", c.Log.Access.Sample*100), "file": c.Log.Access.File}},
		"shutdown": map[string]any{"drain": c.Shutdown.Drain.String(), "grace": c.Shutdown.Grace.String()},
	}
	if rapid.Bool().Draw(t, "gossip") {
		c.Gossip, doc["gossip"] = drawnGossip(t)
		c.TrustPeers = true
		doc["trusted_proxies"] = append(trusted, peersWord)
	}
	return c, doc
}

// drawnGossip is a valid section without a secret, which takes a file or a variable.
func drawnGossip(t *rapid.T) (*Gossip, map[string]any) {
	listen := rapid.SampledFrom([]string{"127.0.0.1:0", "10.0.0.1:6191", "[::]:6191", "[::1]:6191"}).Draw(t, "gossip listen")
	advertise := rapid.SampledFrom([]string{"", "10.0.0.7:1", "[fd00::7]:1"}).Draw(t, "advertise")
	g := &Gossip{
		Listen:        netip.MustParseAddrPort(listen),
		Join:          rapid.SliceOfN(rapid.StringMatching(`[a-z]{1,9}(\.[a-z]{1,9})?(:[1-9][0-9]{0,3})?`), 1, 3).Draw(t, "join"),
		Label:         rapid.StringMatching(`[a-zé/-]{0,32}`).Draw(t, "label"),
		Insecure:      true,
		ShareLoopback: rapid.Bool().Draw(t, "share loopback"),
		Scope:         rapid.SampledFrom([]string{"", "eu-1"}).Draw(t, "scope"),
	}
	if advertise != "" {
		g.Advertise = netip.MustParseAddrPort(advertise)
	}
	return g, map[string]any{"listen": listen, "advertise": advertise, "join": g.Join, "label": g.Label, "secret_file": "", "insecure": true,
		"share_loopback": g.ShareLoopback, "scope": g.Scope}
}

func isKeyword(s string) bool {
	switch strings.ToLower(s) {
	case "true", "false", "null", "y", "n", "yes", "no", "on", "off":
		return true
	}
	return false
}

func TestAnyValidConfigurationLoadsBackEqualAndFitsTheSchema(t *testing.T) {
	schema := compiled(t)
	rapid.Check(t, func(t *rapid.T) {
		want, doc := drawn(t)
		text := flow(doc)
		if rapid.Bool().Draw(t, "block style") {
			text = block(doc, "\n")
		}
		got, err := loadText(text)
		if err != nil {
			t.Fatalf("%s\nrefused:\n%v", text, err)
		}
		if !reflect.DeepEqual(withoutNotes(got), want) {
			t.Fatalf("%s\ngot  %+v\nwant %+v", text, got, want)
		}
		if err := schema.Validate(doc); err != nil {
			t.Fatalf("%s\nthe schema refuses it: %v", text, err)
		}
	})
}

// flow is JSON, which is YAML too.
func flow(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// block is YAML by indentation; scalars stay in their JSON form.
func block(v any, newline string) string {
	var out strings.Builder
	switch v := v.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			out.WriteString(newline + key + ": " + block(v[key], newline+"  "))
		}
	case []any:
		for _, item := range v {
			out.WriteString(newline + "- " + flow(item))
		}
	default:
		return flow(v)
	}
	return out.String()
}

// withoutNotes leaves out what was not drawn.
func withoutNotes(c *Config) *Config {
	own := *c
	own.Notes, own.settings = nil, nil
	return &own
}

func TestTheSchemaRefusesWhatLoadRefusesByForm(t *testing.T) {
	schema := compiled(t)
	for _, text := range []string{
		"nmae: x", "dev: 1", "listen: []", "listen: [{ name: x }]", "log: { level: loud }", "limits: { head: 64KB }", "limits: { fields: 0 }",
		"clusters: { One: { backends: [\"a:1\"] } }", "clusters: { fail: { backends: [\"a:1\"] } }", "clusters: { one: { backends: [{ weight: 1 }] } }",
		"clusters: { one: { backends: [\"a:1\"], check: { type: exec } } }", "clusters: { one: { backends: [\"a:1\"], check: off } }",
		"clusters: { one: { backends: [\"a:1\"], retries: \"2\" } }", "clusters: { one: { backends: [\"a:1\"], check: { interval: 5 } } }",
		"clusters: { one: { backends: [\"a:1\"], check: { type: http, status: 600 } } }",
		"gossip: x", "gossip: { secret: x }", "gossip: { scope: -x }", "gossip: { join: { a: b } }", "script: x.js", "shutdown: { drain: soon }", "clusters: { one: { backends: [\"a:1\"], tls: maybe } }",
	} {
		var doc any
		if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
			t.Fatal(err)
		}
		if schema.Validate(doc) == nil {
			t.Errorf("the schema accepts %s", text)
		}
		if _, err := loadText(text); err == nil {
			t.Errorf("Load accepts %s", text)
		}
	}
}

func FuzzLoad(f *testing.F) {
	for _, seed := range []string{example, "", "a: [", "\t", "clusters: &a { <<: *a }", "a: &a [*a]\nb: *a", "name: ${X:-y}", "? a\n: b", "%YAML 1.2\n---\na", "- - - -", "a: !!x y", "\"\\x\": 1", "a: |\n  x\n b"} {
		f.Add([]byte(seed), "a:1,b:2")
	}
	f.Fuzz(func(t *testing.T, file []byte, variable string) {
		d := disk{files: fstest.MapFS{"outrider.yaml": {Data: file}}}
		c, err := Load(Source{Env: []string{"OUTRIDER_CLUSTERS__ONE__BACKENDS=" + variable, "OUTRIDER_LIMITS=" + variable}, Files: d.access()})
		if err == nil {
			if len(c.Clusters) == 0 {
				t.Error("a configuration without clusters is valid")
			}
			return
		}
		all, ok := errors.AsType[*Error](err)
		if !ok || len(all.Faults) == 0 {
			t.Fatalf("%T %v", err, err)
		}
		lines := newDocument("", strings.TrimPrefix(string(file), byteOrderMark)).lines
		for _, fault := range all.Faults {
			if fault.Line == 0 {
				continue
			}
			if fault.Line > len(lines) || fault.Column < 1 || fault.Column > len([]rune(lines[fault.Line-1]))+1 || fault.Text != masked(lines[fault.Line-1]) {
				t.Errorf("%+v is not in the file", fault)
			}
		}
	})
}

func anyPassive(t *rapid.T) Passive {
	if rapid.Bool().Draw(t, "passive off") {
		return Passive{}
	}
	words := []string{PassiveConnect, PassiveTimeout, PassiveReset, "500", "502-504"}
	return Passive{
		Failures: rapid.IntRange(1, 99).Draw(t, "failures"), Window: milliseconds(100, 9999).Draw(t, "window"),
		For: milliseconds(10, 9999).Draw(t, "for"), MaxOut: 0.25,
		On: rapid.SliceOfNDistinct(rapid.SampledFrom(words), 1, len(words), rapid.ID[string]).Draw(t, "on"),
	}
}

func passiveAsWritten(p Passive) any {
	if p.Failures == 0 {
		return "off"
	}
	return map[string]any{"failures": p.Failures, "window": p.Window.String(), "for": p.For.String(), "max_out": "25%", "on": p.On}
}
