package config

import (
	"strings"
	"testing"
	"testing/fstest"
)

func TestTheStatusListenerIsFoundWhateverElseIsWrong(t *testing.T) {
	for name, c := range map[string]struct {
		yaml    string
		env     []string
		want    string
		guessed string // what the error says, if the address is a guess
	}{
		"nothing said":       {want: ":6190"},
		"no cluster":         {yaml: "status: { listen: \":1\" }", want: ":1"},
		"off":                {yaml: "status: { listen: \"\" }", want: ""},
		"a fault elsewhere":  {yaml: "status: { listen: \":1\" }\nclusters: 5", want: ":1"},
		"a variable":         {yaml: "clusters: 5", env: []string{"OUTRIDER_STATUS__LISTEN=:2"}, want: ":2"},
		"not YAML":           {yaml: "status: { listen: [", want: ":6190", guessed: "outrider.yaml:1:"},
		"not YAML, variable": {yaml: "status: { listen: [", env: []string{"OUTRIDER_STATUS__LISTEN=:2"}, want: ":2", guessed: "outrider.yaml:1:"},
		"a fault right here": {yaml: "status: { listen: here }", want: ":6190", guessed: "status.listen"},
	} {
		d := disk{files: fstest.MapFS{}}
		if c.yaml != "" {
			d.files["outrider.yaml"] = &fstest.MapFile{Data: []byte(c.yaml)}
		}
		got, err := StatusListen(Source{Env: c.env, Files: d.access()})
		if got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
		if (err != nil) != (c.guessed != "") || err != nil && !strings.Contains(err.Error(), c.guessed) {
			t.Errorf("%s: the error is %v, want %q in it", name, err, c.guessed)
		}
	}
}
