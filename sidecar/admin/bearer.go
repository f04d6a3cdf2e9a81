package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"

	"github.com/sirupsen/logrus"
)

// A Lock tells the right token from wrong ones, in a time that depends on neither.
// It is safe for concurrent use.
type Lock struct {
	right  [sha256.Size]byte
	none   bool // there is no right one
	wrongs bucket
}

// NewLock is a lock that a token opens; the empty one opens none.
func NewLock(token string) *Lock {
	return &Lock{right: sha256.Sum256([]byte(token)), none: token == ""}
}

// Opens tells whether this is the token. After ten wrong ones within a second it says
// no to all, so that guessing takes long.
func (l *Lock) Opens(token []byte) bool {
	if l.none || !l.wrongs.has() {
		return false
	}
	if l.fits(token) {
		return true
	}
	l.wrongs.take()
	return false
}

func (l *Lock) fits(token []byte) bool {
	sum := sha256.Sum256(token)
	return subtle.ConstantTimeCompare(sum[:], l.right[:]) == 1
}

// tokens looks at those that come as requests to the API.
type tokens struct {
	*Lock

	log logrus.FieldLogger
}

func newTokens(right string, log logrus.FieldLogger) *tokens { return &tokens{NewLock(right), log} }

// check wants `Authorization: Bearer TOKEN` (RFC 6750 section 2.1), once. The limit on wrong
// tokens bounds what they cost and log; it never locks out the owner of the right one.
func (t *tokens) check(r *http.Request) *refusal {
	if t.none {
		return unauthorized("%s %s needs a token, and this sidecar has none: set admin.token_file", r.Method, r.URL.Path)
	}
	token, ok := bearer(r)
	if !ok {
		return unauthorized("%s %s needs the admin token: send the header `Authorization: Bearer TOKEN`", r.Method, r.URL.Path)
	}
	if t.fits([]byte(token)) {
		return nil
	}
	if !t.wrongs.take() {
		return tooManyWrong()
	}
	t.log.WithFields(logrus.Fields{"remote": r.RemoteAddr, "method": r.Method, "path": r.URL.Path}).Warn("admin: a request brought a wrong token")
	return unauthorized("this is not the admin token of this sidecar")
}

func tooManyWrong() *refusal {
	return refuse(http.StatusTooManyRequests, "too many wrong tokens: wait a second").with("Retry-After", "1")
}

func unauthorized(format string, args ...any) *refusal {
	return refuse(http.StatusUnauthorized, format, args...).with("WWW-Authenticate", `Bearer realm="outrider"`)
}

// bearer is the token that r brings; two Authorization fields bring none.
func bearer(r *http.Request) (token string, ok bool) {
	values := r.Header.Values("Authorization")
	if len(values) != 1 {
		return "", false
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	token = strings.TrimSpace(token)
	return token, strings.EqualFold(scheme, "Bearer") && token != ""
}
