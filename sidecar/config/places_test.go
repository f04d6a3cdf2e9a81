package config

import (
	"testing"
	"testing/fstest"
)

func TestPlacesTellWhereAKeyWasWritten(t *testing.T) {
	const file = "clusters:\n  one:\n    backends: [\"a:1\", \"b:1\"]\n    timeouts: { upstream_idle: 9s }\n"
	d := disk{files: fstest.MapFS{"outrider.yaml": {Data: []byte(file)}}}
	_, places, err := LoadPlaces(Source{
		Files: d.access(), Env: []string{"OUTRIDER_APP=127.0.0.1:80"}, Flags: []Flag{{Name: "--listen", Key: "listen", Value: ":1"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"clusters.one.timeouts.upstream_idle": "outrider.yaml:4:17",
		"clusters.one.backends[1]":            "outrider.yaml:3:23",
		"clusters.one.check.type":             "outrider.yaml:2:3",
		"app":                                 "OUTRIDER_APP",
		"listen":                              "--listen",
		"status.listen":                       "outrider.yaml:1:1",
	} {
		if got := places.Of(key); got != want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
	if got := (Places{}).Of("app"); got != "" {
		t.Errorf("nothing was loaded, and yet it was written at %q", got)
	}
}
