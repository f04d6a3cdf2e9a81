package config

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// refused loads a file that must be refused and compares the headlines of all its faults.
func refused(t *testing.T, yaml string, want ...string) {
	t.Helper()
	_, err := loadText(yaml)
	if err == nil {
		t.Fatalf("accepted; wanted %q", want)
	}
	if got := faultLines(t, err); !slices.Equal(got, want) {
		t.Errorf("faults:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestAFaultShowsPositionHintLineAndCaret(t *testing.T) {
	_, err := loadText(clusterOne("    check:\n      intervall: 1s\n"))
	want := `outrider.yaml:5:7: clusters.one.check.intervall: unknown key; did you mean "interval"?
     5 |       intervall: 1s
       |       ^`
	if err == nil || err.Error() != want {
		t.Errorf("got:\n%v\nwant:\n%s", err, want)
	}
}

func TestAllFaultsAreReportedAtOnceInTheOrderOfTheFile(t *testing.T) {
	refused(t, `listen: 6188
default_cluster: thre
gossip: { joins: [] }
clusters:
  one:
    backends: ["a:1", "a:1", "b"]
    retries: many
    check: { type: exec, jitter: 60%, status: 400-200 }
    balance: hashed
    interval: 1s
  three: { backends: ["c:1"] }
limits: { head: 64KB, head_timeout: 10, clusters: 1 }
`,
		`outrider.yaml:1:9: listen: wants an address such as ":6188", not a number; write "6188" with the quotes`,
		`outrider.yaml:2:1: default_cluster: there is no cluster "thre"; the clusters are one, three; did you mean "three"?`,
		`outrider.yaml:3:11: gossip.joins: unknown key; did you mean "join"?`,
		`outrider.yaml:6:23: clusters.one.backends[1]: a:1 stands here twice; remove one, or give it a weight`,
		`outrider.yaml:6:30: clusters.one.backends[2]: "b" has no port; write "b:8080"`,
		`outrider.yaml:7:14: clusters.one.retries: wants a whole number from 0 to 10, not text`,
		`outrider.yaml:8:20: clusters.one.check.type: "exec" is not in this version; it may be tcp, tls, http, grpc, off`,
		`outrider.yaml:8:34: clusters.one.check.jitter: 60% is out of range; it may be 0% to 50%`,
		`outrider.yaml:8:47: clusters.one.check.status: "400-200": 400 is above 200; did you mean 200-400?`,
		`outrider.yaml:9:14: clusters.one.balance: "hashed" is none of round_robin, least_requests, random_two, hash; did you mean "hash"?`,
		`outrider.yaml:10:5: clusters.one.interval: unknown key; did you mean "clusters.one.resolve.interval"?`,
		`outrider.yaml:12:17: limits.head: "64KB" has an unknown unit (B, KiB, MiB or GiB); did you mean "64KiB"?`,
		`outrider.yaml:12:37: limits.head_timeout: "10" has no unit; write 10s or 10ms`,
		`outrider.yaml:12:41: limits.clusters: unknown key; clusters stands at the top of the file, not here`,
	)
}

func TestAProtocolFitsItsCluster(t *testing.T) {
	for keys, says := range map[string]string{
		"protocol: h2":                                       `clusters.one.protocol: h2 is HTTP/2 over TLS, and the cluster has no tls; write h2c for cleartext, or add tls`,
		"protocol: h2c, tls: true":                           `clusters.one.protocol: h2c is HTTP/2 in cleartext, and the cluster has tls; write h2, or remove tls`,
		"check: { type: grpc }":                              `clusters.one.check.type: gRPC needs HTTP/2, and the cluster speaks HTTP/1.1; write protocol: h2c, or h2 with tls`,
		"check: { service: a.B }":                            `clusters.one.check.service: only a check of type grpc uses this`,
		"check: { service: \"a b\" }":                        `"a b" is no name of a service`,
		"protocol: h2c, check: { type: grpc, service: a.B }": "",
		"protocol: h2c, send_proxy: v2":                      "clusters.one.send_proxy: a connection of HTTP/2 carries the requests of many clients",
		"protocol: h2, tls: true":                            "",
		"tls: true, check: { type: grpc }":                   "",
	} {
		_, err := loadText("clusters: { one: { backends: [\"a:1\"], " + keys + " } }\n")
		if says == "" && err != nil || says != "" && (err == nil || !strings.Contains(err.Error(), says)) {
			t.Errorf("%s: %v", keys, err)
		}
	}
}

func TestWhatIsNotOneYAMLDocumentIsRefusedWhereItBreaks(t *testing.T) {
	for _, row := range []struct{ name, yaml, want string }{
		{"tab", "clusters:\n\tone: 1\n", "outrider.yaml:2:1: not YAML: found character '\t' that cannot start any token; a tab cannot indent in YAML: use spaces"},
		{"duplicate", "dev: true\ndev: false\n" + clusterOne(""), `outrider.yaml:2:1: the key "dev" stands here twice (first in line 1); remove one of them`},
		{"two documents", clusterOne("---\n" + clusterOne("")), "outrider.yaml:5:1: a second document begins here; one file holds one configuration: remove the line ---"},
		{"tag", "name: !!str x\n" + clusterOne(""), "outrider.yaml:1:7: tags and this kind of YAML are not supported; write the value plainly"},
		{"alias", "name: *x\n" + clusterOne(""), "outrider.yaml:1:7: *x: no anchor &x stands before this"},
		{"list", "- a\n", "outrider.yaml:1:1: a configuration is made of `key: value`, this is a list; `outrider init` writes an example"},
		{"latin 1", "name: caf\xe9\n", "outrider.yaml:1:10: this is not UTF-8 text; save the file as UTF-8"},
		{"NUL", "name: a\x00b\n", "outrider.yaml:1:8: control character 0x00; remove it, or write it as an escape in double quotes"},
		{"variable in braces", "script: { timeout: ${T} }\n", "outrider.yaml:1:21: not YAML: ',' or '}' must be specified; inside { } and [ ] write \"${...}\" with quotes"},
		{"unset variable", "name: ${NOPE}\n" + clusterOne(""), "outrider.yaml:1:7: ${NOPE} is not set in the environment; set it, or write ${NOPE:-default}"},
		{"unclosed variable", "name: ${NOPE\n" + clusterOne(""), "outrider.yaml:1:7: ${NOPE is not closed; write ${NAME}, or $$ for a dollar"},
		{"null", "name:\n" + clusterOne(""), "outrider.yaml:1:6: name: no value; write a name such as web-1, or remove the key"},
		{"deep", "name: " + strings.Repeat("[", 500) + "\n", "outrider.yaml:1:39: nested too deeply"},
		{"merge of text", "log: { <<: x }\n" + clusterOne(""), "outrider.yaml:1:12: <<: takes a section or a list of sections, such as *name"},
	} {
		t.Run(row.name, func(t *testing.T) { refused(t, row.yaml, row.want) })
	}
}

func TestAnEmptyFileSaysWhatToWrite(t *testing.T) {
	for _, yaml := range []string{"", "\n\n", "# nothing\n", "---\n", "~\n"} {
		_, err := loadText(yaml)
		if err == nil || !strings.HasPrefix(err.Error(), "outrider.yaml is empty") {
			t.Errorf("%q: %v", yaml, err)
		}
	}
	refused(t, "dev: true\n", `outrider.yaml:1:1: no cluster; write clusters: { one: { backends: ["host:port"] } }, or set OUTRIDER_CLUSTER_ONE=host:port`)
}

func TestAFileThatIsTooLargeOrTooBusyIsRefused(t *testing.T) {
	_, err := loadText(strings.Repeat("# padding\n", 1<<20))
	if err == nil || !strings.Contains(err.Error(), "outrider.yaml is larger than 1MiB") {
		t.Error(err)
	}
	_, err = loadText(strings.Repeat("k: 1\n", 1<<17))
	if err == nil || !strings.Contains(err.Error(), "too much for one configuration") {
		t.Error(err)
	}
	bomb := "a0: &a0 [x, x]\n"
	for i := range 20 {
		bomb += fmt.Sprintf("a%d: &a%d [*a%d, *a%d, *a%d]\n", i+1, i+1, i, i, i)
	}
	_, err = loadText(bomb)
	if err == nil || !strings.Contains(err.Error(), "aliases that grow without end") {
		t.Error(err)
	}
}

func TestCrossReferencesAreChecked(t *testing.T) {
	for _, row := range []struct{ name, yaml, want string }{
		{"listener's cluster", clusterOne("listen: [{ address: \":1\", cluster: on }]\n"),
			`outrider.yaml:4:27: listen[0].cluster: there is no cluster "on"; the clusters are one; did you mean "one"?`},
		{"on_error", clusterOne("script: { on_error: two }\n"), `outrider.yaml:4:11: script.on_error: there is no cluster "two"; the clusters are one`},
		{"same port", clusterOne("listen: \":6190\"\n"), `outrider.yaml:4:1: listen: :6190 is taken by status.listen (:6190); choose another port`},
		{"same address", clusterOne("listen: [{ address: \":81\" }, { name: b, address: \"127.0.0.1:81\" }]\n"),
			`outrider.yaml:4:41: listen[1].address: 127.0.0.1:81 is taken by listen[0].address (:81); choose another port`},
		{"same address, the wide one last", clusterOne("listen: [{ address: \"127.0.0.1:81\" }, { name: b, address: \":81\" }]\n"),
			`outrider.yaml:4:50: listen[1].address: :81 is taken by listen[0].address (127.0.0.1:81); choose another port`},
		{"a header that nobody may send", "listen: [{ address: \":1\", proxy_protocol: true }]\n" + clusterOne(""),
			`outrider.yaml:1:27: listen[0].proxy_protocol: nobody may send the header, so every connection would be closed; write trusted_proxies with the addresses of the load balancer`},
		{"a key that nobody goes by", clusterOne("    hash_key: header:X-User\n"),
			`outrider.yaml:4:5: clusters.one.hash_key: only balance: hash goes by a key; write that, or remove this`},
		{"same name", clusterOne("listen: [{ address: \":81\" }, { address: \":82\" }]\n"),
			`outrider.yaml:4:30: listen[1].name: two listeners are called "main"; give each a name of its own`},
		{"loop", "clusters: { one: { backends: [\"localhost:6188\"] } }\n",
			`outrider.yaml:1:31: clusters.one.backends[0]: localhost:6188 is our own listener "main" (:6188): requests would go in circles; name the server's address, or listen elsewhere`},
		{"loop of app", "app: 127.0.0.1:6188\n",
			`outrider.yaml:1:1: app: 127.0.0.1:6188 is our own listener "main" (:6188): requests would go in circles; name the server's address, or listen elsewhere`},
		{"app twice", "app: \"127.0.0.1:1\"\nclusters: { app: { backends: [\"b:1\"] } }\n",
			`outrider.yaml:2:20: clusters.app.backends: these are not app, which is 127.0.0.1:1; leave the backends out here, or call the cluster something else`},
		{"two schemes", "clusters: { one: { backends: [\"http://a\", \"https://a\"] } }\n",
			`outrider.yaml:1:20: clusters.one.backends: http:// and https:// in one cluster; make two clusters`},
		{"https without tls", "clusters: { one: { tls: false, backends: [\"https://a\"] } }\n",
			`outrider.yaml:1:20: clusters.one.tls: tls is off, but a backend is https://; write http://, or remove tls`},
		{"http with tls", "clusters: { one: { tls: {}, backends: [\"http://a\"] } }\n",
			`outrider.yaml:1:20: clusters.one.tls: tls is on, but a backend is http://; write https://, or remove tls`},
		{"names differ", "clusters: { one: { tls: true, backends: [\"a:1\", \"b:1\"] } }\n",
			`outrider.yaml:1:20: clusters.one.tls: the backends have different hosts; write tls: { server_name: ... } with the name that their certificates carry`},
		{"key of another check", clusterOne("    check: { path: /x }\n"),
			`outrider.yaml:4:14: clusters.one.check.path: only a check of type http uses this, and this one is tcp; write type: http, or remove it`},
		{"no backend", "clusters: { one: {} }\n", `outrider.yaml:1:13: clusters.one.backends: a cluster needs a backend; write backends: ["host:port"]`},
		{"no script", clusterOne("script: { file: x.js }\n"), `outrider.yaml:4:11: script.file: x.js: no such file (file does not exist)`},
		{"no authority", clusterOne("    tls: { ca: ca.pem }\n"), `outrider.yaml:4:12: clusters.one.tls.ca: ca.pem: no such file (file does not exist)`},
		{"authority without certificate", clusterOne("    tls: { ca: outrider.yaml }\n"),
			`outrider.yaml:4:12: clusters.one.tls.ca: outrider.yaml holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)`},
		{"open admin", clusterOne("admin: { listen: \":6189\" }\n"),
			`outrider.yaml:4:10: admin.listen: :6189 can be reached from other hosts; write admin.token_file, or listen on 127.0.0.1`},
		{"reserved name", "clusters: { fail: { backends: [\"a:1\"] } }\n",
			`outrider.yaml:1:13: clusters.fail: a cluster cannot be called "fail", which is a word of script.on_error`},
		{"TypeScript", clusterOne("script: { file: x.tsx }\n"),
			`outrider.yaml:4:17: script.file: "x.tsx": a script decides where requests go, and has no elements: name it .ts or .js`},
		{"script in short", clusterOne("script: x.js\n"),
			`outrider.yaml:4:9: script: wants a section, not a single value; write script: { file: scripts/route.js }`},
	} {
		t.Run(row.name, func(t *testing.T) { refused(t, row.yaml, row.want) })
	}
}

func TestValuesOutOfFormAreRefusedWithTheRightForm(t *testing.T) {
	backends := func(s string) string { return "clusters: { one: { backends: [" + s + "] } }\n" }
	for _, row := range []struct{ yaml, want string }{
		{clusterOne("    hash_key: ip\n"), `"ip" is none of client, header:NAME, cookie:NAME`},
		{clusterOne("    hash_key: \"header:\"\n"), `"" is not the name of a header; write one such as header:user`},
		{clusterOne("    hash_key: \"cookie:a b\"\n"), `"a b" is not the name of a cookie; write one such as cookie:user`},
		{backends(`"ftp://a"`), `a backend is http:// or https://, not ftp://`},
		{backends(`"http://a/x"`), `only scheme, host and port`},
		{backends(`"http://user:secret@a"`), `"http://user:xxxxx@a": only scheme, host and port`},
		{backends(`"a:0"`), `the port is a number from 1 to 65535, not "0"`},
		{backends(`"a:65536"`), `not "65536"`},
		{backends(`"256.1.1.1:80"`), `"256.1.1.1" is neither an IP address nor a host name`},
		{backends(`"::1"`), `"::1" has no port; write "[::1]:8080"`},
		{backends(`"a b:1"`), `"a b" is not a host name`},
		{backends(`{ weight: 2 }`), `the address is missing`},
		{backends(`{ address: "a:1", weight: 0 }`), `"0" is not a whole number from 1 to 1000`},
		{backends(`{ address: "a:1", weight: 1001 }`), `"1001" is not a whole number from 1 to 1000`},
		{backends(`{ address: "a:1", wieght: 2 }`), `did you mean "weight"?`},
		{clusterOne("    backends: a:1\n"), `stands here twice`},
		{"clusters: { one: { backends: \"a:1\" } }\n", `wants a list of backends; write ["a:1"]`},
		{"clusters: { One: { backends: [\"a:1\"] } }\n", `"One" is not a cluster's name`},
		{clusterOne("    retries: \"2\"\n"), `wants a whole number from 0 to 10, not text; write 2 without quotes`},
		{clusterOne("    check: off\n"), `write check: { type: off }`},
		{clusterOne("    check: { interval: -1s }\n"), `"-1s" is not a duration`},
		{clusterOne("    check: { interval: 1ms }\n"), `1ms is out of range; it may be 10ms to 1h`},
		{clusterOne("    check: { type: htp }\n"), `"htp" is none of tcp, tls, http, grpc, off; did you mean "http"?`},
		{clusterOne("    check: { type: http, status: 600 }\n"), `"600": a status is 100 to 599`},
		{clusterOne("    check: { type: http, path: x }\n"), `"x" is not a path; it begins with /`},
		{clusterOne("    check: { type: http, headers: { Host: x } }\n"), `write it as check.host`},
		{clusterOne("    check: { type: http, headers: { A: \"x\\r\\nB: y\" } }\n"), `cannot be a field's value`},
		{clusterOne("    check: { type: http, headers: { A: x, a: y } }\n"), `this field stands here twice`},
		{clusterOne("    slow_start: 2h\n"), `outrider.yaml:4:17: clusters.one.slow_start: 2h is out of range; it may be 0 to 1h`},
		{clusterOne("    slow_start: [1s]\n"), `wants a duration such as 500ms or 2s, not a list`},
		{clusterOne("    max_in_flight: 0\n"), `outrider.yaml:4:20: clusters.one.max_in_flight: "0" is not a whole number from 1 to 1000000`},
		{clusterOne("    max_in_flight: many\n"), `wants a whole number from 1 to 1000000, not text`},
		{clusterOne("    passive: maybe\n"), `outrider.yaml:4:14: clusters.one.passive: "maybe" is neither on, off nor a section; write { failures: 5 }`},
		{clusterOne("    passive: [connect]\n"), `wants a section, not a list; write passive: { failures: 5 }`},
		{clusterOne("    passive: { fail: 3 }\n"), `clusters.one.passive.fail: unknown key; did you mean "failures"?`},
		{clusterOne("    passive: { failures: 0 }\n"), `"0" is not a whole number from 1 to 10000`},
		{clusterOne("    passive: { window: 1ms }\n"), `1ms is out of range; it may be 100ms to 1h`},
		{clusterOne("    passive: { for: 2h }\n"), `2h is out of range; it may be 10ms to 1h`},
		{clusterOne("    passive: { max_out: 101% }\n"), `101% is out of range; it may be 0% to 100%`},
		{clusterOne("    passive: { max_out: half }\n"), `"half" is not a percentage; write one such as 10%`},
		{clusterOne("    passive: { on: { a: b } }\n"), `wants a list of failures, not a section`},
		{clusterOne("    passive: { on: [reset, conect] }\n"), `outrider.yaml:4:28: clusters.one.passive.on[1]: "conect" is none of connect, timeout, reset, or status codes such as 503 or 502-504; did you mean "connect"?`},
		{clusterOne("    passive: { on: [99] }\n"), `"99" is none of connect, timeout, reset, or status codes`},
		{clusterOne("    passive: { on: [600] }\n"), `"600": a status is 100 to 599`},
		{clusterOne("    passive: { on: [504-502] }\n"), `504 is above 502; did you mean 502-504?`},
		{clusterOne("    tls: yes\n"), `not text; write true`},
		{clusterOne("dev: \"true\"\n"), `not text; write true without quotes`},
		{clusterOne("name: 12\n"), `write "12" with the quotes`},
		{clusterOne("trusted_proxies: [10.0.0.1/8]\n"), `did you mean "10.0.0.0/8"?`},
		{clusterOne("trusted_proxies: [privat]\n"), `did you mean "private"?`},
		{clusterOne("shutdown: { drain: soon }\n"), `"soon" is not a duration`},
		{clusterOne("listen: []\n"), `an empty list`},
		{clusterOne("listen: \"\"\n"), `is not an address`},
		{clusterOne("log: { level: warning }\n"), `did you mean "warn"?`},
	} {
		_, err := loadText(row.yaml)
		if err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: got %v\nwant %s", row.yaml, err, row.want)
		}
	}
}

func TestAnUnreadableTokenNamesModeOwnerAndUser(t *testing.T) {
	d := disk{denied: "secrets/token", files: fstest.MapFS{
		"conf/outrider.yaml": {Data: []byte(clusterOne("admin: { token_file: ../secrets/token }\n"))},
		"secrets/token":      {Data: []byte("x"), Mode: 0o600},
	}}
	_, err := Load(Source{File: "conf/outrider.yaml", Files: d.access()})
	if err == nil || !strings.Contains(err.Error(), "admin.token_file: secrets/token: permission denied; mode 0600") ||
		!strings.Contains(err.Error(), "this process runs as uid") {
		t.Error(err)
	}
}

func TestAConfigurationThatCannotBeReadIsNotPassedOver(t *testing.T) {
	d := disk{denied: "outrider.yaml", files: fstest.MapFS{"outrider.yaml": {}, "/etc/outrider/outrider.yaml": {Data: []byte(clusterOne(""))}}}
	_, err := Load(Source{Files: d.access()})
	if err == nil || !strings.Contains(err.Error(), "permission denied") {
		t.Error(err)
	}
	_, err = Load(Source{File: "other.yaml", Files: d.access()})
	if err == nil || err.Error() != "-c: other.yaml: no such file (file does not exist)" {
		t.Error(err)
	}
}

func TestTheErrorCanBeTakenApart(t *testing.T) {
	_, err := loadText(clusterOne("nmae: x\n"))
	all, ok := errors.AsType[*Error](err)
	if !ok || len(all.Faults) != 1 {
		t.Fatal(err)
	}
	want := Fault{Source: "outrider.yaml", Line: 4, Column: 1, Path: "nmae", Message: `unknown key; did you mean "name"?`, Text: "nmae: x"}
	if all.Faults[0] != want {
		t.Errorf("%+v", all.Faults[0])
	}
}

func TestAFaultInALongOrHostileLineIsShownSafely(t *testing.T) {
	f := Fault{Source: "f", Line: 1, Column: 501, Message: "m", Text: strings.Repeat("x", 500) + "\x1b[31m" + strings.Repeat("y", 500)}
	lines := strings.Split(f.String(), "\n")
	if strings.Contains(f.String(), "\x1b") || len(lines[1]) > excerptWidth+20 {
		t.Errorf("%q", f.String())
	}
	if caret := strings.Index(lines[2], "^"); !strings.HasPrefix(string([]rune(lines[1])[caret:]), "\ufffd[31m") {
		t.Errorf("the caret points elsewhere:\n%s", f)
	}
}

func TestAnOrdinaryReadErrorIsPassedOn(t *testing.T) {
	files := Files{ReadFile: func(string) ([]byte, error) { return nil, fs.ErrClosed }, Stat: func(string) (fs.FileInfo, error) { return nil, fs.ErrNotExist }}
	if _, err := Load(Source{File: "x", Files: files}); err == nil || !strings.Contains(err.Error(), "x cannot be read: file already closed") {
		t.Error(err)
	}
}

func TestPassiveThatCountsNothingIsRefused(t *testing.T) {
	for _, on := range []string{"[]", `""`} {
		_, err := loadText(clusterOne("    passive: { on: " + on + " }\n"))
		if got := faultLines(t, err); len(got) != 1 || !strings.Contains(got[0], "clusters.one.passive.on: nothing counts; write passive: off") {
			t.Errorf("on: %s: %q", on, got)
		}
	}
}
