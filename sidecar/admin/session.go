package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	inviteLasts  = time.Hour
	sessionLasts = 12 * time.Hour
	maxInvites   = 16
	maxSessions  = 64

	keyField = "Outrider-Key"
)

// Sessions are the browsers that were let in, by a word that works once. A browser
// shows a cookie from then on, which it adds by itself, and which lets it read. To
// write it has to send its key as well, which only our own pages know: cookies do not
// tell ports apart, so the app beside the sidecar may come to see the cookie, and
// pages of it may have it sent. Safe for concurrent use.
type Sessions struct {
	mu      sync.Mutex // guards what follows; none of it is kept but as a hash
	invites map[secret]time.Time
	open    map[secret]session
}

type secret [sha256.Size]byte

func hashOf(text string) secret { return sha256.Sum256([]byte(text)) }

type session struct {
	until time.Time
	key   secret
}

// NewSessions are none yet.
func NewSessions() *Sessions {
	return &Sessions{invites: make(map[secret]time.Time), open: make(map[secret]session)}
}

// Invite is a word that lets one browser in, once, within an hour.
func (s *Sessions) Invite() string {
	word := NewToken()
	s.mu.Lock()
	defer s.mu.Unlock()
	makeRoom(s.invites, maxInvites, func(until time.Time) time.Time { return until })
	s.invites[hashOf(word)] = time.Now().Add(inviteLasts)
	return word
}

// redeem takes a word, which is good for nothing from then on.
func (s *Sessions) redeem(word string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	until, invited := s.invites[hashOf(word)]
	delete(s.invites, hashOf(word))
	return invited && time.Now().Before(until)
}

// begin lets a browser in.
func (s *Sessions) begin() (cookie, key string) {
	cookie, key = NewToken(), NewToken()
	s.mu.Lock()
	defer s.mu.Unlock()
	makeRoom(s.open, maxSessions, func(one session) time.Time { return one.until })
	s.open[hashOf(cookie)] = session{time.Now().Add(sessionLasts), hashOf(key)}
	return cookie, key
}

// makeRoom takes out the oldest when there are so many.
func makeRoom[V any](all map[secret]V, most int, until func(V) time.Time) {
	for len(all) >= most {
		var oldest secret
		var at time.Time
		for key, one := range all {
			if at.IsZero() || until(one).Before(at) {
				oldest, at = key, until(one)
			}
		}
		delete(all, oldest)
	}
}

// may tells whether a request comes from a browser that was let in, and that may do
// what it asks for.
func (s *Sessions) may(r *http.Request, write bool) bool {
	if from := r.Header.Get("Sec-Fetch-Site"); from != "" && from != "same-origin" && from != "none" {
		return false
	}
	cookie, err := r.Cookie(cookieName(r.Host))
	if err != nil {
		return false
	}
	s.mu.Lock()
	one, known := s.open[hashOf(cookie.Value)]
	s.mu.Unlock()
	if !known || time.Now().After(one.until) {
		return false
	}
	key := hashOf(r.Header.Get(keyField))
	return !write || subtle.ConstantTimeCompare(key[:], one.key[:]) == 1
}

// cookieName tells sidecars on one host apart, whose cookies a browser would mix up.
func cookieName(host string) string {
	if _, port, err := net.SplitHostPort(host); err == nil {
		return "outrider-" + port
	}
	return "outrider"
}

// Entry is what POST /session takes. Without a word the token has to come.
type Entry struct {
	Word string `json:"word"`
}

// begun is what POST /session answers, beside the cookie.
type begun struct {
	Key string `json:"key"` // to be sent with writes, in the field Outrider-Key
}

// Invitation is what POST /invite answers.
type Invitation struct {
	Word string `json:"word"` // for POST /session
}

func (a *api) invite(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, Invitation{a.sessions.Invite()})
}

func (a *api) enter(w http.ResponseWriter, r *http.Request) {
	var entry Entry
	refused := readJSON(w, r, &entry)
	if refused == nil {
		refused = a.admitEntry(r, entry.Word)
	}
	if refused != nil {
		refused.write(w)
		return
	}
	cookie, key := a.sessions.begin()
	http.SetCookie(w, &http.Cookie{
		Name: cookieName(r.Host), Value: cookie, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode,
		MaxAge: int(sessionLasts / time.Second),
	})
	writeJSON(w, http.StatusOK, begun{key})
}

func (a *api) admitEntry(r *http.Request, word string) *refusal {
	switch {
	case word == "":
		return a.tokens.check(r)
	case a.sessions.redeem(word):
		return nil
	case !a.tokens.wrongs.take():
		return tooManyWrong()
	}
	return refuse(http.StatusUnauthorized, "this link was used already, or is older than an hour: `outrider dashboard` makes another")
}
