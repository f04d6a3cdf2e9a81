package app_test

import (
	"net/http"
	"strings"
	"testing"

	"outrider/sidecar/admin"
)

func TestTheTapShowsTheRequestsThatHaveEnded(t *testing.T) {
	one := newBackends(t, "one-a")
	one[0].does(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/bad") {
			w.WriteHeader(http.StatusBadGateway)
		}
	})
	s := start(t, twoClusters(one, newBackends(t, "two-a"), seldom)+"admin: { listen: '127.0.0.1:0' }\n")
	s.awaitReady()
	s.ask("/one/good")
	s.ask("/one/bad", [2]string{"X-Request-Id", "it"})
	s.ask("/else")

	var all admin.TapStatus
	eventually(t, "all three are accounted for, which may be after they are answered", func() bool {
		all = s.Tap(0, &admin.Filter{})
		return len(all.Requests) >= 3
	})
	if len(all.Requests) != 3 || all.Missed != 0 || all.Off {
		t.Fatalf("the tap shows %+v", all)
	}
	if got := s.Tap(all.Last, &admin.Filter{}); len(got.Requests) != 0 || got.Last != all.Last {
		t.Errorf("after the last it shows %+v", got)
	}
	bad := s.Tap(0, &admin.Filter{Status: "5xx"})
	if len(bad.Requests) != 1 || bad.Last != all.Last {
		t.Fatalf("of the errors it shows %+v", bad)
	}
	got := bad.Requests[0]
	got.At, got.Took, got.Serial = got.At.AddDate(1000, 0, 0), 0, 0
	if want := (admin.Tapped{ID: got.ID, At: got.At, Method: "GET", Path: "/one/bad", Cluster: "one", Backend: one[0].addr, Status: 502, End: "done", Attempts: 1}); got != want {
		t.Errorf("it shows %+v, want %+v", got, want)
	}
	if explained, err := s.Recall(got.ID); err != nil || explained.Exchange.Status != 502 {
		t.Errorf("its id is explained as %+v: %v", explained, err)
	}
}

func TestTheTapShowsTheLastOfTooMany(t *testing.T) {
	s := start(t, twoClusters(newBackends(t, "one-a"), newBackends(t, "two-a"), seldom)+"admin: { listen: '127.0.0.1:0' }\n")
	s.awaitReady()
	for range 203 {
		s.ask("/one/")
	}
	eventually(t, "the last to be accounted for", func() bool { return s.Tap(0, &admin.Filter{}).Missed == 3 }) // its client has the answer before
	got := s.Tap(0, &admin.Filter{})
	if len(got.Requests) != 200 || got.Missed != 3 || got.Requests[199].Serial != got.Last {
		t.Errorf("it shows %d, missed %d, up to %d", len(got.Requests), got.Missed, got.Last)
	}
}

func TestTheTapIsOffWhereNothingIsRecorded(t *testing.T) {
	s := start(t, twoClusters(newBackends(t, "one-a"), newBackends(t, "two-a"), seldom)+"script: { record: 0 }\nadmin: { listen: '127.0.0.1:0' }\n")
	s.awaitReady()
	s.ask("/one/")
	if got := s.Tap(0, &admin.Filter{}); !got.Off || len(got.Requests) != 0 {
		t.Errorf("it shows %+v", got)
	}
	if got := s.Traffic(0).Backends; len(got) != 0 {
		t.Errorf("and of the backends' times %+v", got)
	}
}

func TestTrafficTellsOfEachSecondAndOfEachBackend(t *testing.T) {
	one := newBackends(t, "one-a")
	s := start(t, twoClusters(one, newBackends(t, "two-a"), seldom)+"admin: { listen: '127.0.0.1:0' }\n") // and no status listener
	s.awaitReady()
	for range 5 {
		s.ask("/one/")
	}
	sum := func(after uint64) (requests uint64) {
		for _, c := range s.Traffic(after).Clusters {
			for _, second := range c.Seconds {
				requests += second.Requests
				if second.Requests > 0 && (c.Cluster != "one" || second.Failed != 0 || second.P50 <= 0 || second.P50 > second.P99) {
					t.Errorf("%s has the second %+v", c.Cluster, second)
				}
			}
		}
		return requests
	}
	eventually(t, "the second of the requests has ended", func() bool { return sum(0) == 5 })
	if last := s.Traffic(0).Last; sum(last) != 0 {
		t.Error("what is known already is told again")
	}
	got := s.Traffic(0).Backends
	if len(got) != 1 || got[0].Cluster != "one" || got[0].Address != one[0].addr || got[0].Requests != 5 || got[0].P50 <= 0 || got[0].P50 > got[0].P99 {
		t.Errorf("the backends took %+v", got)
	}
}

func TestTheDashboardsLinkLetsABrowserInAcrossAReload(t *testing.T) {
	configuration := twoClusters(newBackends(t, "one-a"), newBackends(t, "two-a"), seldom)
	s := start(t, configuration+"admin: { listen: '127.0.0.1:0' }\n")
	s.awaitReady()
	link := s.Dashboard()
	s.write(configuration + "admin: { listen: '127.0.0.1:0', edit: true }\n") // which makes another handler
	if err := s.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	address, word, ok := strings.Cut(strings.TrimPrefix(link, "http://"), "/#in=")
	if !ok {
		t.Fatalf("the link is %q", link)
	}
	enter := func() int {
		response, err := s.client.Post("http://"+address+"/session", "application/json", strings.NewReader(`{"word":"`+word+`"}`))
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		return response.StatusCode
	}
	if status := enter(); status != 200 {
		t.Errorf("the link is answered %d", status)
	}
	if status := enter(); status != 401 {
		t.Errorf("a second time the link is answered %d", status)
	}
}

func TestWithoutAnAdminListenerThereIsNoLink(t *testing.T) {
	s := start(t, twoClusters(newBackends(t, "one-a"), newBackends(t, "two-a"), seldom))
	if link := s.Dashboard(); link != "" {
		t.Errorf("there is %q", link)
	}
}
