package config

import (
	"strings"
	"testing"
)

func TestSettingsTellWhatIsInForceAndWhereItWasWritten(t *testing.T) {
	c, err := loadText("clusters:\n  one:\n    backends: [\"a:1\"]\n    check: { interval: 2s }\n")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]Setting{}
	for _, s := range c.Settings() {
		got[s.Key] = s
	}
	for _, want := range []Setting{
		{"clusters.one.backends[0]", "a:1", "outrider.yaml:3:16"},
		{"clusters.one.check.interval", "2s", "outrider.yaml:4:14"},
		{"clusters.one.check.timeout", "1s", ""},
		{"admin.listen", "127.0.0.1:6189", ""},
	} {
		if got[want.Key] != want {
			t.Errorf("%+v, want %+v", got[want.Key], want)
		}
	}
}

func TestSettingsHideWhatMayBeASecret(t *testing.T) {
	const secret = "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0MTI="
	c, err := Load(Source{Hostname: "h", Env: []string{
		secretVariable + "=" + secret, "PASSWORD=hunter2-hunter2",
		"OUTRIDER_CONFIG=clusters:\n  one: { backends: [\"a:1\"], check: { type: http, headers: { Authorization: \"Basic ${PASSWORD}\" } } }\ngossip: { listen: \"127.0.0.1:0\" }\n",
	}})
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, s := range c.Settings() {
		if strings.Contains(s.Value+s.Place, "hunter2") || strings.Contains(s.Value+s.Place, secret) {
			t.Errorf("%+v shows a secret", s)
		}
		if s.Key == "clusters.one.check.headers.Authorization" || s.Key == "gossip.secret" {
			found++
		}
	}
	if found != 2 {
		t.Errorf("%d of 2 secrets are listed at all", found)
	}
}
