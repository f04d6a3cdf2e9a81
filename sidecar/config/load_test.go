package config

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

func TestDefaultsAreThoseOfTheDocumentation(t *testing.T) {
	c, err := Load(Source{Hostname: "web-1", Env: []string{"OUTRIDER_CLUSTER_ONE=a:1"}, Files: disk{}.access()})
	want := &Config{
		Name:           "web-1",
		Listen:         []Listener{{Name: "main", Address: ":6188", Forwarded: ForwardedAppend}},
		DefaultCluster: "one",
		Script: Script{Timeout: 100 * time.Millisecond, OnError: OnErrorFail,
			Rollback: Rollback{ErrorRate: 0.01, MinErrors: 5, Window: 30 * time.Second}, MaxMoved: 1, Record: 1000, Shadow: Shadow{Sample: 0.1}},
		Clusters: []Cluster{{
			Name:     "one",
			Backends: []Backend{{Host: "a", Port: 1, Weight: 1, Raw: "a:1"}},
			Resolve:  Resolve{Interval: 5 * time.Second, Family: FamilyAuto},
			Balance:  BalanceRoundRobin,
			Check: Check{Type: CheckTCP, Interval: time.Second, Timeout: time.Second, Rise: 1, Fall: 2, Jitter: 0.1,
				Path: "/", Status: []StatusRange{{200, 399}}},
			Timeouts: Timeouts{Connect: time.Second, Response: 30 * time.Second, StreamIdle: 5 * time.Minute, UpstreamIdle: 4 * time.Second},
			Passive: Passive{Failures: 5, Window: 10 * time.Second, For: 10 * time.Second, MaxOut: 0.5,
				On: []string{PassiveConnect, PassiveTimeout, PassiveReset}},
			InFlight:  1024,
			Retries:   2,
			OnAllDown: OnAllDownFail,
			Protocol:  ProtocolAuto,
			SendProxy: SendProxyOff,
		}},
		AmbiguousPaths: AmbiguousPathsPass,
		Limits: Limits{Connections: 20000, Backlog: 4096, Head: 64 << 10, Fields: 128, HeadTimeout: 10 * time.Second,
			ClientIdle: 75 * time.Second, HalfClose: time.Second},
		Status:   Status{Listen: ":6190"},
		Admin:    Admin{Listen: "127.0.0.1:6189"},
		Log:      Log{Level: "info", Format: LogAuto, Access: AccessLog{Mode: AccessErrors, Sample: 1, File: AccessStdout}},
		Shutdown: Shutdown{Grace: 8 * time.Second},
	}
	if c = valid(t, c, err); !reflect.DeepEqual(c, want) {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
}

func TestAFlagWinsOverTheEnvironmentOverTheFileOverTheDefault(t *testing.T) {
	d := disk{files: fstest.MapFS{"outrider.yaml": {Data: []byte(clusterOne("    retries: 3\n    check: { rise: 3, fall: 3 }\nlog: { level: warn }\n"))}}}
	c, err := Load(Source{
		Env:   []string{"OUTRIDER_CLUSTERS__ONE__CHECK__FALL=4", "OUTRIDER_LOG__LEVEL=error", "OUTRIDER_LISTEN=:1"},
		Flags: []Flag{{"--log-level", "log.level", "debug"}, {"--listen", "listen", ":2"}},
		Files: d.access(),
	})
	c = valid(t, c, err)
	check := c.Clusters[0].Check
	got := []any{check.Interval, c.Clusters[0].Retries, check.Rise, check.Fall, c.Log.Level, c.Listen[0].Address}
	want := []any{time.Second, 3, 3, 4, "debug", ":2"}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestTheFileIsTheOneThatIsNamedElseInTheUsualPlaces(t *testing.T) {
	file := func(name string) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte("name: " + name + "\n" + clusterOne(""))}
	}
	all := fstest.MapFS{"flag.yaml": file("flag"), "env.yaml": file("env"), "outrider.yaml": file("here"), "/etc/outrider/outrider.yaml": file("etc")}
	etc := fstest.MapFS{"/etc/outrider/outrider.yaml": file("etc")}
	for _, row := range []struct {
		files     fstest.MapFS
		flag, env string
		want      string
	}{
		{all, "flag.yaml", "env.yaml", "flag"},
		{all, "", "env.yaml", "env"},
		{all, "", "", "here"},
		{etc, "", "", "etc"},
		{all, "", "name: inline\nclusters: { one: { backends: [\"a:1\"] } }", "inline"},
		{all, "", "{ name: brief, clusters: { one: { backends: [\"a:1\"] } } }", "brief"},
	} {
		c, err := Load(Source{File: row.flag, Env: []string{"OUTRIDER_CONFIG=" + row.env}, Files: disk{files: row.files}.access()})
		if c = valid(t, c, err); c.Name != row.want {
			t.Errorf("%q %q: %s, want %s", row.flag, row.env, c.Name, row.want)
		}
	}
}

func TestFaultsOfYAMLInAVariableHaveLines(t *testing.T) {
	_, err := loadEnv("OUTRIDER_CONFIG=dev: true\nclusters:\n  one: { backends: [a] }\n")
	want := []string{`OUTRIDER_CONFIG:3:21: clusters.one.backends[0]: "a" has no port; write "a:8080"`}
	if got := faultLines(t, err); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func TestWithoutAnyConfigurationTheErrorSaysWhatToDo(t *testing.T) {
	_, err := loadEnv("HOME=/root")
	if err == nil || !strings.Contains(err.Error(), "outrider init") || !strings.Contains(err.Error(), "outrider demo") {
		t.Error(err)
	}
}

func TestRelativePathsBelongToTheFileThatHoldsThem(t *testing.T) {
	d := disk{files: fstest.MapFS{
		"conf/outrider.yaml": {Data: []byte(clusterOne("script: { file: \"${DIR}/route.js\" }\nadmin: { token_file: /run/token }\n"))},
		"conf/js/route.js":   {Data: []byte("function route() {}")},
		"route.js":           {Data: []byte("function route() {}")},
		"/run/token":         {Data: []byte("secret")},
	}}
	c, err := Load(Source{File: "conf/outrider.yaml", Env: []string{"DIR=js"}, Files: d.access()})
	if c = valid(t, c, err); c.Script.File != "conf/js/route.js" || c.Admin.TokenFile != "/run/token" {
		t.Errorf("%+v %+v", c.Script, c.Admin)
	}
	c, err = Load(Source{File: "conf/outrider.yaml", Env: []string{"DIR=js", "OUTRIDER_SCRIPT=route.js"}, Files: d.access()})
	if c = valid(t, c, err); c.Script.File != "route.js" {
		t.Errorf("%+v", c.Script)
	}
}

func TestEnvironmentAloneIsEnough(t *testing.T) {
	c, err := loadEnv(
		"OUTRIDER_CLUSTERS__ONE__BACKENDS=app-a:8080, app-b:8080",
		"OUTRIDER_CLUSTER_MY_API=https://api.example.com",
		"OUTRIDER_CLUSTERS__ONE__CHECK={ type: http, headers: { X-A: b } }",
		"OUTRIDER_CLUSTERS__ONE__CHECK__HEADERS__X_TOKEN=t",
		"OUTRIDER_APP=127.0.0.1:3000",
		"OUTRIDER_TRUSTED_PROXIES=10.0.0.0/8,::1",
		"OUTRIDER_LISTEN=[{ name: in, address: ':80', cluster: app }]",
		"OUTRIDER_STATUS__LISTEN=",
		"OUTRIDER_DEFAULT_CLUSTER=one",
	)
	c = valid(t, c, err)
	if got := c.ClusterNames(); !slices.Equal(got, []string{"my_api", "one", "app"}) {
		t.Errorf("%v", got)
	}
	api := c.Cluster("my_api")
	if api.TLS == nil || api.TLS.ServerName != "api.example.com" || api.Host != "api.example.com" || api.Backends[0].Address() != "api.example.com:443" {
		t.Errorf("%+v", api)
	}
	one := c.Cluster("one")
	if len(one.Backends) != 2 || one.Check.Type != CheckHTTP || !slices.Equal(one.Check.Headers, []Header{{"X-A", "b"}, {"x-token", "t"}}) {
		t.Errorf("%+v", one)
	}
	want := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	if !slices.Equal(c.TrustedProxies, want) || c.Status.Listen != "" || c.Listen[0].Cluster != "app" || c.Shutdown.Drain != 2*time.Second {
		t.Errorf("%+v", c)
	}
	if c.Script.OnError != "one" {
		t.Errorf("on_error is %q, not the default cluster that is written", c.Script.OnError)
	}
}

func TestAVariableReachesAClusterWhoseNameHasAHyphen(t *testing.T) {
	c, err := loadText("clusters: { my-api: { backends: [\"a:1\"] } }\n", "OUTRIDER_CLUSTERS__MY_API__RETRIES=0", "OUTRIDER_CLUSTER_MY_API=b:2")
	c = valid(t, c, err)
	if len(c.Clusters) != 1 || c.Clusters[0].Retries != 0 || c.Clusters[0].Backends[0].Host != "b" {
		t.Errorf("%+v", c.Clusters)
	}
}

func TestUnknownVariablesAreFaultsWithAHint(t *testing.T) {
	for _, row := range []struct{ pair, want string }{
		{"OUTRIDER_LISTN=:1", "OUTRIDER_LISTN: unknown variable; did you mean OUTRIDER_LISTEN?"},
		{"OUTRIDER_CLUSTERS_ONE_BACKENDS=a:1", "did you mean OUTRIDER_CLUSTERS__ONE__BACKENDS?"},
		{"OUTRIDER_CLUSTER_ONE_BACKENDS=a:1", "did you mean OUTRIDER_CLUSTERS__ONE__BACKENDS?"},
		{"OUTRIDER_CLUSTER_ONE__CHECK__TYPE=tcp", "did you mean OUTRIDER_CLUSTERS__ONE__CHECK__TYPE?"},
		{"OUTRIDER_LOG_LEVEL=debug", "did you mean OUTRIDER_LOG__LEVEL?"},
		{"OUTRIDER_CLUSTERS__ONE__CHEK__TYPE=tcp", "did you mean OUTRIDER_CLUSTERS__ONE__CHECK__TYPE?"},
		{"OUTRIDER_LISTEN__0__ADDRESS=:1", "listen has no keys of its own; set OUTRIDER_LISTEN"},
		{"OUTRIDER_XYZ=1", "OUTRIDER_XYZ: unknown variable; REFERENCE.md lists the keys"},
		{"OUTRIDER_LIMITS=9", "OUTRIDER_LIMITS: this is a section; set its keys, such as OUTRIDER_LIMITS__CONNECTIONS, or write it as { ... }"},
		{"OUTRIDER_LIMITS={ connections: x }", `OUTRIDER_LIMITS: limits.connections: wants a whole number from 1 to 10000000, not text`},
		{"OUTRIDER_CLUSTERS__ONE__RETRIES=x", `OUTRIDER_CLUSTERS__ONE__RETRIES: clusters.one.retries: "x" is not a whole number from 0 to 10`},
		{"OUTRIDER_SCRIPT__FILE=x.js", "OUTRIDER_SCRIPT__FILE: script.file: x.js: no such file"},
		{"OUTRIDER_CLUSTERS__FAIL__BACKENDS=a:1", "OUTRIDER_CLUSTERS__FAIL__BACKENDS: clusters.fail: a cluster cannot be called"},
		{"OUTRIDER_=1", "OUTRIDER_: unknown variable"},
		{"OUTRIDER_CLUSTER_=1", "the cluster's name is missing"},
		{"OUTRIDER_CLUSTERS____BACKENDS=1", "unknown variable"},
	} {
		_, err := loadText(clusterOne(""), row.pair)
		if err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: got %v\nwant %s", row.pair, err, row.want)
		}
	}
	_, err := loadEnv("OUTRIDER_CLUSTER_ONE=a:1", "OUTRIDER_CLUSTERS__ONE__BACKENDS=b:1")
	if err == nil || !strings.Contains(err.Error(), "OUTRIDER_CLUSTER_ONE sets this too") {
		t.Error(err)
	}
	_, err = Load(Source{Env: []string{"OUTRIDER_CLUSTER_ONE=a:1"}, Flags: []Flag{{"--listen", "listen", "x"}}, Files: disk{}.access()})
	if err == nil || !strings.HasPrefix(err.Error(), `--listen: listen: "x" is not an address`) {
		t.Error(err)
	}
}

func TestFaultsOfTheEnvironmentComeWithThoseOfABrokenFile(t *testing.T) {
	_, err := loadText("a: [\n", "OUTRIDER_NOPE=1")
	if got := faultLines(t, err); len(got) != 2 || !strings.HasPrefix(got[0], "outrider.yaml:1:") || !strings.HasPrefix(got[1], "OUTRIDER_NOPE: ") {
		t.Errorf("%q", got)
	}
}

func TestKubernetesServiceVariablesAreIgnoredAndNamedOnce(t *testing.T) {
	c, err := loadText(clusterOne(""),
		"OUTRIDER_PORT=tcp://10.0.0.1:6188", "OUTRIDER_SERVICE_HOST=10.0.0.1", "OUTRIDER_SERVICE_PORT=6188", "OUTRIDER_SERVICE_PORT_HTTP=6188",
		"OUTRIDER_PORT_6188_TCP=tcp://10.0.0.1:6188", "OUTRIDER_PORT_6188_TCP_PROTO=tcp", "OUTRIDER_PORT_6188_TCP_PORT=6188", "OUTRIDER_PORT_6188_TCP_ADDR=10.0.0.1",
		"OUTRIDER_ADMIN_SERVICE_HOST=10.0.0.2", "OUTRIDER_ADMIN_PORT=tcp://10.0.0.2:6189")
	c = valid(t, c, err)
	if len(c.Notes) != 1 || strings.Count(c.Notes[0], "OUTRIDER_") != 10 {
		t.Errorf("%q", c.Notes)
	}
	if _, err := loadText(clusterOne(""), "OUTRIDER_PORT=8080"); err == nil {
		t.Error("a port that Kubernetes did not set is ignored")
	}
}

func TestVariablesAreReplacedInValuesOnly(t *testing.T) {
	c, err := loadText(`
name: ${POD:-pod}-1
clusters:
  one:
    backends: ${LIST}
    retries: ${RETRIES:-1}
    check: { type: http, body: "$5 $$x $${A}", headers: { "A": "${EVIL}" } }
`, "LIST=a:1,b:2", "POD=", "EVIL=x } dev: true")
	c = valid(t, c, err)
	one := c.Clusters[0]
	if c.Name != "pod-1" || len(one.Backends) != 2 || one.Retries != 1 || one.Check.Body != "$5 $x ${A}" ||
		one.Check.Headers[0].Value != "x } dev: true" || c.Dev {
		t.Errorf("%+v", c)
	}
}

func TestAnchorsAndMergeKeysShareSettings(t *testing.T) {
	c, err := loadText(`
clusters:
  one:
    backends: ["a:1"]
    check: &check { type: http, path: /a, interval: 2s }
    timeouts: &t { connect: 2s }
  two:
    backends: ["b:1"]
    check: { <<: *check, path: /b }
    timeouts: *t
`, "OUTRIDER_CLUSTERS__TWO__TIMEOUTS__CONNECT=3s")
	c = valid(t, c, err)
	one, two := c.Clusters[0], c.Clusters[1]
	if one.Check.Path != "/a" || two.Check.Path != "/b" || two.Check.Interval != 2*time.Second || two.Check.Type != CheckHTTP {
		t.Errorf("%+v", two.Check)
	}
	if one.Timeouts.Connect != 2*time.Second || two.Timeouts.Connect != 3*time.Second {
		t.Error("a variable for one cluster changed what another shares with it by an alias")
	}
}

func TestAFileMayHaveAByteOrderMarkAndWindowsLineEnds(t *testing.T) {
	c, err := loadText("\ufeff" + strings.ReplaceAll(clusterOne("name: x\n"), "\n", "\r\n"))
	if c = valid(t, c, err); c.Name != "x" {
		t.Errorf("%+v", c)
	}
	refused(t, "\ufeffdev: 1\r\n"+clusterOne(""), `outrider.yaml:1:6: dev: wants true or false, not a number`)
}

func TestTheDefaultClusterIsNeverGuessedAmongSeveral(t *testing.T) {
	two := func(names ...string) string {
		s := "clusters:\n"
		for _, n := range names {
			s += "  " + n + ": { backends: [\"" + n + ":1\"] }\n"
		}
		return s
	}
	for _, row := range []struct {
		yaml, def, onError string
		notes              int
	}{
		{two("a"), "a", "fail", 0},
		{two("one", "two"), "two", "fail", 0},
		{two("a", "b"), "", "fail", 1},
		{two("a", "b") + "default_cluster: b\n", "b", "b", 0},
		{two("a", "b") + "default_cluster: b\nscript: { on_error: fail }\n", "b", "fail", 0},
		{two("a", "b") + "script: { on_error: a }\n", "", "a", 1},
		{two("one", "two") + "script: { file: route.js }\n", "", "fail", 0},
		{two("one") + "script: { file: route.js }\n", "one", "fail", 0},
		{two("a", "b") + "listen: [{ address: \":80\", cluster: a }]\n", "", "fail", 0},
	} {
		d := disk{files: fstest.MapFS{"outrider.yaml": {Data: []byte(row.yaml)}, "route.js": {}}}
		c, err := Load(Source{Files: d.access()})
		c = valid(t, c, err)
		if c.DefaultCluster != row.def || c.Script.OnError != row.onError || len(c.Notes) != row.notes {
			t.Errorf("%s: %q %q %q", row.yaml, c.DefaultCluster, c.Script.OnError, c.Notes)
		}
	}
}

func TestTheAppIsAClusterThatASectionMayRefine(t *testing.T) {
	for _, yaml := range []string{
		"app: 127.0.0.1:8080\n",
		"app: 127.0.0.1:8080\nclusters: { app: { check: { fall: 5 } } }\n",
		"app: 127.0.0.1:8080\nclusters: { app: { backends: [\"127.0.0.1:8080\"] } }\n",
	} {
		c, err := loadText(yaml)
		c = valid(t, c, err)
		app := c.Cluster("app")
		if app == nil || len(app.Backends) != 1 || app.Backends[0].Address() != "127.0.0.1:8080" || app.Timeouts.Connect != time.Second || c.Shutdown.Drain != 2*time.Second {
			t.Errorf("%s: %+v", yaml, c)
		}
	}
}

func TestServerNameAndHostFollowTheBackends(t *testing.T) {
	for _, row := range []struct{ cluster, server, host string }{
		{`{ backends: ["https://API.example.com:8443"] }`, "api.example.com", "api.example.com"},
		{`{ backends: ["a.example:443"], tls: true }`, "a.example", "a.example"},
		{`{ backends: ["a.example:443"], tls: {}, host: pass }`, "a.example", ""},
		{`{ backends: ["a.example:443"], tls: true, host: b.example }`, "a.example", "b.example"},
		{`{ backends: ["1.0.0.1:443"], tls: { server_name: one.one.one.one } }`, "one.one.one.one", "one.one.one.one"},
		{`{ backends: ["1.0.0.1:443"], tls: true }`, "1.0.0.1", ""},
		{`{ backends: ["a:1", "b:1"], tls: { insecure_skip_verify: true } }`, "", ""},
		{`{ backends: ["https://a", "a:444"] }`, "a", "a"},
	} {
		c, err := loadText("clusters: { one: " + row.cluster + " }\n")
		one := valid(t, c, err).Clusters[0]
		if one.TLS == nil || one.TLS.ServerName != row.server || one.Host != row.host {
			t.Errorf("%s: %+v host %q", row.cluster, one.TLS, one.Host)
		}
	}
	c, err := loadText("clusters: { one: { backends: [\"http://a\"] }, two: { backends: [\"a:1\"], tls: false } }\n")
	for _, cl := range valid(t, c, err).Clusters {
		if cl.TLS != nil || cl.Host != "" {
			t.Errorf("%+v", cl)
		}
	}
}

func TestBackendsAreReadInEveryForm(t *testing.T) {
	c, err := loadText(`clusters: { one: { backends: ["[::1]:80", "http://App", "[::ffff:10.0.0.1]:1", { address: "b_1:2", weight: 1000 }] } }`)
	got := valid(t, c, err).Clusters[0].Backends
	want := []Backend{
		{Host: "::1", Port: 80, Weight: 1, Raw: "[::1]:80"}, {Host: "app", Port: 80, Weight: 1, Raw: "http://App"},
		{Host: "10.0.0.1", Port: 1, Weight: 1, Raw: "[::ffff:10.0.0.1]:1"}, {Host: "b_1", Port: 2, Weight: 1000, Raw: "b_1:2"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
}

func TestStatusRangesAreReadInEveryForm(t *testing.T) {
	for text, want := range map[string]string{"200": "[200]", `"200"`: "[200]", "200-399": "[200-399]", "200,204, 300-399": "[200 204 300-399]"} {
		c, err := loadText(clusterOne("    check:\n      type: http\n      status: " + text + "\n"))
		if got := fmt.Sprint(valid(t, c, err).Clusters[0].Check.Status); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func TestWhatIsUnwiseButLegalIsANote(t *testing.T) {
	c, err := loadText(clusterOne("    check: { timeout: 2s }\n    tls: { insecure_skip_verify: true }\n"))
	want := []string{
		"outrider.yaml:5:12: clusters.one.tls.insecure_skip_verify: certificates are not verified: whoever answers at these addresses is believed",
		"outrider.yaml:4:14: clusters.one.check.timeout: the timeout (2s) is longer than the interval (1s): while a backend does not answer, it is checked less often than written",
	}
	if c = valid(t, c, err); !slices.Equal(c.Notes, want) {
		t.Errorf("%q", c.Notes)
	}
}

func TestPrivateMeansEveryPrivateNetwork(t *testing.T) {
	c, err := loadText(clusterOne("trusted_proxies: [private, 192.0.2.1]\n"))
	trusted := func(s string) bool {
		return slices.ContainsFunc(c.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(netip.MustParseAddr(s)) })
	}
	valid(t, c, err)
	for s, want := range map[string]bool{"127.0.0.1": true, "10.1.2.3": true, "172.31.0.1": true, "192.168.1.1": true, "::1": true, "fd00::1": true,
		"192.0.2.1": true, "192.0.2.2": false, "172.32.0.1": false, "8.8.8.8": false, "2001:db8::1": false} {
		if trusted(s) != want {
			t.Errorf("%s: %v", s, !want)
		}
	}
}

func TestTestsOfTheScriptAreOnePathOrAList(t *testing.T) {
	d := disk{files: fstest.MapFS{
		"conf/js/route.js": {}, "conf/js/a.test.yaml": {}, "conf/b.yaml": {}, "a.yaml": {}, "conf/outrider.yaml": {},
	}}
	for _, row := range []struct {
		tests, env string
		want       []string
	}{
		{tests: "tests: js/a.test.yaml", want: []string{"conf/js/a.test.yaml"}},
		{tests: "tests: [js/a.test.yaml, b.yaml]", want: []string{"conf/js/a.test.yaml", "conf/b.yaml"}},
		{tests: "tests: js/a.test.yaml, b.yaml", want: []string{"conf/js/a.test.yaml", "conf/b.yaml"}},
		{env: "OUTRIDER_SCRIPT__TESTS=a.yaml", want: []string{"a.yaml"}},
		{tests: "tests: []"},
	} {
		d.files["conf/outrider.yaml"].Data = []byte(clusterOne("script:\n  file: js/route.js\n  " + row.tests + "\n"))
		var env []string
		if row.env != "" {
			env = []string{row.env}
		}
		c, err := Load(Source{File: "conf/outrider.yaml", Env: env, Files: d.access()})
		if c = valid(t, c, err); !slices.Equal(c.Script.Tests, row.want) {
			t.Errorf("%q %q: %q", row.tests, row.env, c.Script.Tests)
		}
	}
	for tests, fault := range map[string]string{
		"tests: none.yaml":        "6:10: script.tests[0]: conf/none.yaml: no such file",
		"tests: [b.yaml, c.yaml]": "script.tests[1]: conf/c.yaml: no such file",
		"tests: { a: b }":         "script.tests: wants",
	} {
		d.files["conf/outrider.yaml"].Data = []byte(clusterOne("script:\n  file: js/route.js\n  " + tests + "\n"))
		if _, err := Load(Source{File: "conf/outrider.yaml", Files: d.access()}); err == nil || !strings.Contains(err.Error(), fault) {
			t.Errorf("%s: %v", tests, err)
		}
	}
	d.files["conf/outrider.yaml"].Data = []byte(clusterOne("script: { tests: b.yaml }\n"))
	if _, err := Load(Source{File: "conf/outrider.yaml", Files: d.access()}); err == nil || !strings.Contains(err.Error(), "there is no script to test") {
		t.Errorf("without a script: %v", err)
	}
}

func TestDataAndEnvironmentOfTheScriptAreFound(t *testing.T) {
	d := disk{files: fstest.MapFS{"conf/js/route.js": {}, "conf/js/data.json": {}, "conf/outrider.yaml": {}}}
	load := func(more string) (*Config, error) {
		d.files["conf/outrider.yaml"].Data = []byte(clusterOne("script:\n  file: js/route.js\n  " + more + "\n"))
		return Load(Source{File: "conf/outrider.yaml", Env: []string{"STAGE=test", "SECRET=x"}, Files: d.access()})
	}
	c, err := load("data: js/data.json\n  env: [STAGE, AWAY]")
	c = valid(t, c, err)
	if c.Script.Data != "conf/js/data.json" || len(c.Script.EnvValues) != 1 || c.Script.EnvValues["STAGE"] != "test" {
		t.Errorf("%+v", c.Script)
	}
	if len(c.Notes) != 1 || !strings.Contains(c.Notes[0], "AWAY is not set: the script sees ctx.env.AWAY as undefined") {
		t.Errorf("%q", c.Notes)
	}
	for more, fault := range map[string]string{
		"data: none.json": "script.data: conf/none.json: no such file",
		"env: [A-B]":      `script.env[0]: "A-B" is no name of an environment variable`,
	} {
		if _, err := load(more); err == nil || !strings.Contains(err.Error(), fault) {
			t.Errorf("%s: %v", more, err)
		}
	}
}
