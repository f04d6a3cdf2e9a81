package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"outrider/sidecar/admin"
)

func TestWatchingShowsEachPictureAndWhyThereIsNone(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	pictures := 0
	var screen strings.Builder
	err := watching{interval: 100 * time.Millisecond}.run(ctx, &screen, func(_ context.Context, out io.Writer) error {
		if pictures++; pictures == 3 {
			stop()
		}
		if pictures == 2 {
			return errors.New("nothing listens there")
		}
		_, err := fmt.Fprintf(out, "picture %d\n", pictures)
		return err
	})
	if shown := screen.String(); err != nil || !strings.Contains(shown, "picture 1\n") || !strings.Contains(shown, "nothing listens there\n") {
		t.Errorf("%v after %q", err, shown)
	}
}

func TestColumnsAreAlignedWhateverTheirColours(t *testing.T) {
	s := admin.HealthStatus{Self: "web-1", Peers: []string{"web-2", "web-3"}, Silence: "most peers are gone at once", Backends: []admin.BackendHealth{
		{Cluster: "one", Name: "app-a:8080", State: "suspect", Shared: true, Own: admin.OwnEvidence{Well: true}, Why: "so",
			Claims: []admin.ClaimStatus{{Peer: "web-2", State: "down"}}},
		{Cluster: "two", Name: "localhost:1", State: "down", Why: "thus"},
	}}
	var plain, coloured strings.Builder
	if err := errors.Join(printHealth(&plain, s, palette{}), printHealth(&coloured, s, palette{on: true})); err != nil {
		t.Fatal(err)
	}
	want := `CLUSTER  BACKEND      VERDICT  web-1  web-2  web-3  WHY
one      app-a:8080   suspect  up     down   .      so
two      localhost:1  down     down   -      -      thus
web-1 tells its peers nothing: most peers are gone at once
`
	if plain.String() != want {
		t.Errorf("got\n%swant\n%s", plain.String(), want)
	}
	bare := strings.NewReplacer("\x1b[31m", "", "\x1b[32m", "", "\x1b[33m", "", "\x1b[0m", "").Replace(coloured.String())
	if bare != want || !strings.Contains(coloured.String(), "\x1b[33msuspect  \x1b[0m") {
		t.Errorf("in colours: %q", coloured.String())
	}
}

func TestBackendsThatShareANameAreToldApartByTheirAddress(t *testing.T) {
	var status, matrix strings.Builder
	err := errors.Join(
		printStatus(&status, admin.Status{Clusters: []admin.ClusterStatus{{Name: "two", Backends: []admin.BackendStatus{
			{Name: "app-c:80", Address: "10.0.0.3:80"}, {Name: "app-d:80", Address: "10.0.0.4:80"}, {Name: "app-d:80", Address: "10.0.0.5:80"},
		}}}}, palette{}),
		printHealth(&matrix, admin.HealthStatus{Backends: []admin.BackendHealth{
			{Cluster: "two", Name: "app-c:80", Address: "10.0.0.3:80"},
			{Cluster: "two", Name: "app-d:80", Address: "10.0.0.4:80"}, {Cluster: "two", Name: "app-d:80", Address: "10.0.0.5:80"},
			{Cluster: "three", Name: "app-d:80", Address: "10.0.0.4:80"},
		}}, palette{}))
	if err != nil {
		t.Fatal(err)
	}
	for _, shown := range []string{status.String(), matrix.String()} {
		if strings.Contains(shown, "10.0.0.3") || strings.Count(shown, "app-d:80 (10.0.0.4:80)") != 1 || strings.Count(shown, "app-d:80 (10.0.0.5:80)") != 1 {
			t.Errorf("shown are\n%s", shown)
		}
	}
}
