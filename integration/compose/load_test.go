//go:build integration

package compose_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"
)

// answer is what became of one request.
type answer struct {
	sent   time.Time
	took   time.Duration
	status int    // 0 when there was no whole answer
	app    string // who gave it; "" for answers of the sidecar's own
	why    string // its Proxy-Status
	told   string // its X-Outrider-Explain; "" for who has no token
	url    string
	body   string
	err    error
}

func (a answer) String() string {
	return fmt.Sprintf("sent %s took %v status %d app %q why %q err %v body %.200q",
		a.sent.Format("15:04:05.000"), a.took.Round(time.Millisecond), a.status, a.app, a.why, a.err, a.body)
}

func (a answer) fine() bool { return a.err == nil && a.status == http.StatusOK }

// explain is the field in which a sidecar tells what it did, to who has the token.
const explain = "X-Outrider-Explain"

const requestTimeout = 40 * time.Second // longer than whatever a sidecar waits for

// ask sends one request on a connection of its own.
func ask(url string) answer {
	return send(&http.Client{Timeout: requestTimeout, Transport: &http.Transport{DisableKeepAlives: true}}, url, "")
}

// send sends one request. With the token of operators the sidecar tells what it did.
func send(client *http.Client, url, token string) answer {
	a := answer{sent: time.Now(), url: url}
	request, err := http.NewRequest(http.MethodGet, url, http.NoBody)
	if err != nil {
		a.err = err
		return a
	}
	if token != "" {
		request.Header.Set(explain, token)
	}
	response, err := client.Do(request)
	if err != nil {
		a.took, a.err = time.Since(a.sent), err
		return a
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	a.took, a.body = time.Since(a.sent), string(body)
	a.app, a.why = response.Header.Get("App"), response.Header.Get("Proxy-Status")
	a.told = response.Header.Get(explain)
	if err != nil {
		a.err = fmt.Errorf("%s, but the body: %w", response.Status, err)
		return a
	}
	a.status = response.StatusCode
	return a
}

// load is requests at a fixed rate, whatever becomes of those before.
type load struct {
	t     *testing.T
	token string        // of operators
	ended chan struct{} // closed to end it
	done  chan struct{} // closed when it has sent its last

	mu      sync.Mutex // guards answers
	answers []answer
}

// startLoad sends so many requests a second until stop. They take turns among the
// urls. Every answer is kept.
func (s *shop) startLoad(perSecond int, urls ...string) *load {
	s.t.Helper()
	l := &load{t: s.t, token: s.adminToken(), ended: make(chan struct{}), done: make(chan struct{})}
	go l.run(time.Second/time.Duration(perSecond), urls)
	s.t.Cleanup(func() { l.stop() })
	return l
}

func (l *load) run(every time.Duration, urls []string) {
	defer close(l.done)
	transport := &http.Transport{MaxIdleConnsPerHost: 64, IdleConnTimeout: 2 * time.Second}
	client := &http.Client{Timeout: requestTimeout, Transport: transport}
	defer transport.CloseIdleConnections()
	var under sync.WaitGroup
	defer under.Wait()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-tick.C:
		case <-l.ended:
			return
		}
		under.Go(func() {
			a := send(client, urls[i%len(urls)], l.token)
			l.mu.Lock()
			defer l.mu.Unlock()
			l.answers = append(l.answers, a)
		})
	}
}

// so far is what has been answered.
func (l *load) soFar() record {
	l.mu.Lock()
	defer l.mu.Unlock()
	return record(slices.Clone(l.answers))
}

// stop sends nothing more, and is the whole record.
func (l *load) stop() record {
	select {
	case <-l.ended:
	default:
		close(l.ended)
	}
	<-l.done
	return l.soFar()
}

// awaitMore waits until so many more have been answered.
func (l *load) awaitMore(s *shop, n int) {
	l.t.Helper()
	have := len(l.soFar())
	s.eventually(fmt.Sprintf("%d more answers", n), func() bool { return len(l.soFar()) >= have+n })
}

// record is what became of requests.
type record []answer

// since are those that were sent at a time or later.
func (r record) since(t time.Time) record {
	return slices.DeleteFunc(slices.Clone(r), func(a answer) bool { return a.sent.Before(t) })
}

// until are those that were sent before.
func (r record) until(t time.Time) record {
	return slices.DeleteFunc(slices.Clone(r), func(a answer) bool { return !a.sent.Before(t) })
}

func (r record) failed() record {
	return slices.DeleteFunc(slices.Clone(r), answer.fine)
}

// shares is how many answers came from whom.
func (r record) shares() map[string]int {
	shares := map[string]int{}
	for _, a := range r {
		shares[a.app]++
	}
	return shares
}

func (r record) worst() time.Duration {
	var worst time.Duration
	for _, a := range r {
		worst = max(worst, a.took)
	}
	return worst
}

// from are the answers of an app.
func (r record) from(app string) record {
	return slices.DeleteFunc(slices.Clone(r), func(a answer) bool { return a.app != app })
}

// expectFine expects that nothing failed, and that there was enough to tell.
func (r record) expectFine(t *testing.T, least int) {
	t.Helper()
	if len(r) < least {
		t.Errorf("only %d requests were answered, want %d to tell anything", len(r), least)
	}
	failed := r.failed()
	if len(failed) == 0 {
		return
	}
	t.Errorf("%d of %d requests failed; the first:", len(failed), len(r))
	for _, a := range failed[:min(10, len(failed))] {
		t.Error(a)
	}
}

// expectShares expects answers of these apps alone, each with the same share but for
// a few requests.
func (r record) expectShares(t *testing.T, few int, apps ...string) {
	t.Helper()
	shares := r.shares()
	for _, app := range apps {
		if want := len(r) / len(apps); shares[app] < want-few || shares[app] > want+few {
			t.Errorf("%s gave %d of %d answers, want %d: %v", app, shares[app], len(r), want, shares)
		}
		delete(shares, app)
	}
	if len(shares) > 0 {
		t.Errorf("others answered, too: %v", shares)
	}
}
