package admin

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func FuzzOnlyTheTokenPasses(f *testing.F) {
	for _, seed := range []string{"", "Bearer", "Bearer ", "Bearer " + token, "bearer  " + token + " ", "Bearer " + token + "x", "Basic " + token, token, "Bearer\t" + token} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		r := httptest.NewRequest(http.MethodPost, "/reload", nil)
		r.Header["Authorization"] = []string{value}
		scheme, rest, _ := strings.Cut(value, " ")
		right := strings.EqualFold(scheme, "bearer") && strings.TrimSpace(rest) == token
		if passes := newTokens(token, silent()).check(r) == nil; passes != right {
			t.Errorf("%q passes: %t", value, passes)
		}
	})
}

func TestTheBucketFillsAgainWithTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bucket
		taken := func() (n int) {
			for b.take() {
				n++
			}
			return n
		}
		for _, row := range []struct {
			after time.Duration
			want  int
		}{
			{0, 10}, {0, 0}, {99 * time.Millisecond, 0}, {time.Millisecond, 1}, {500 * time.Millisecond, 5}, {time.Hour, 10},
		} {
			time.Sleep(row.after)
			if n := taken(); n != row.want {
				t.Errorf("after %s more: %d, want %d", row.after, n, row.want)
			}
		}
	})
}
