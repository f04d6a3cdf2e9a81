package admin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// enterBy lets a browser in by a word, and returns its cookie and its key.
func enterBy(t *testing.T, address, word string) (cookie, key string) {
	t.Helper()
	response, body := enter(word).to(t, address)
	if response.StatusCode != 200 {
		t.Fatalf("the word is answered %d %s", response.StatusCode, body)
	}
	var begun struct{ Key string }
	if err := json.Unmarshal([]byte(body), &begun); err != nil || begun.Key == "" {
		t.Fatalf("the word is answered %s: %v", body, err)
	}
	cookies := response.Cookies()
	if len(cookies) != 1 {
		t.Fatalf("there are %d cookies: %v", len(cookies), cookies)
	}
	return cookies[0].Name + "=" + cookies[0].Value, begun.Key
}

func enter(word string) ask {
	return ask{
		method: post, path: "/session", header: [][2]string{{"Content-Type", "application/json"}},
		body: strings.NewReader(fmt.Sprintf(`{"word":%q}`, word)),
	}
}

func serveSessions(t *testing.T, s *far) (address string, sessions *Sessions) {
	t.Helper()
	sessions = NewSessions()
	return serve(t, Handler(Options{Sidecar: s, Token: token, Loopback: true, Log: silent(), Sessions: sessions, Pprof: true})), sessions
}

func TestALinkLetsOneBrowserInOnce(t *testing.T) {
	address, sessions := serveSessions(t, &far{})
	word := sessions.Invite()
	response, _ := enter(word).to(t, address)
	if response.StatusCode != 200 {
		t.Fatalf("the first time it is answered %d", response.StatusCode)
	}
	cookie := response.Header.Get("Set-Cookie")
	for _, part := range []string{"outrider-" + address[strings.LastIndex(address, ":")+1:] + "=", "HttpOnly", "SameSite=Strict", "Path=/"} {
		if !strings.Contains(cookie, part) {
			t.Errorf("the cookie %q has no %s", cookie, part)
		}
	}
	response, body := enter(word).to(t, address)
	wantRefusal(t, response, body, 401, "was used already")
	if response.Header.Get("Set-Cookie") != "" {
		t.Error("a link that was used sets a cookie")
	}
}

func TestALinkIsGoodForAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSessions()
		early, late := s.Invite(), s.Invite()
		time.Sleep(time.Hour - time.Second)
		if !s.redeem(early) {
			t.Error("within the hour it is refused")
		}
		time.Sleep(2 * time.Second)
		if s.redeem(late) {
			t.Error("after the hour it is taken")
		}
	})
}

func TestOldLinksAndSessionsMakeRoomForNewOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSessions()
		first := s.Invite()
		for range maxInvites {
			time.Sleep(time.Second)
			s.Invite()
		}
		if s.redeem(first) || len(s.invites) != maxInvites {
			t.Errorf("the oldest of %d links is kept", len(s.invites))
		}
		for range maxSessions + 5 {
			s.begin()
		}
		if len(s.open) != maxSessions {
			t.Errorf("%d sessions are open, want %d at most", len(s.open), maxSessions)
		}
	})
}

func TestASessionReadsByItsCookieAndWritesByItsKeyToo(t *testing.T) {
	for _, row := range []struct {
		name   string
		method string
		path   string
		header [][2]string // beside the cookie; KEY stands for the key
		status int
	}{
		{"reading what is private", "GET", "/script", nil, 200},
		{"reading by a page of our own", "GET", "/script", [][2]string{{"Sec-Fetch-Site", "same-origin"}}, 200},
		{"reading by a page of another port", "GET", "/script", [][2]string{{"Sec-Fetch-Site", "same-site"}}, 401},
		{"reading by a page of another site", "GET", "/script", [][2]string{{"Sec-Fetch-Site", "cross-site"}}, 401},
		{"reading by a page of another origin", "GET", "/script", [][2]string{{"Origin", "http://localhost:3000"}}, 403},
		{"reading the memory of the process", "GET", "/debug/pprof/heap", nil, 401},
		{"writing with the key", "POST", "/reload", [][2]string{{keyField, "KEY"}}, 200},
		{"writing with the cookie alone", "POST", "/reload", nil, 401},
		{"writing with the cookie alone, by a page of another origin", "POST", "/reload", [][2]string{{"Origin", "http://localhost:3000"}}, 403},
		{"writing with the key, by a page of another origin", "POST", "/reload", [][2]string{{keyField, "KEY"}, {"Origin", "http://evil.example"}}, 403},
		{"writing with another key", "POST", "/reload", [][2]string{{keyField, "KEYx"}}, 401},
		{"writing with no key", "POST", "/reload", [][2]string{{keyField, ""}}, 401},
		{"inviting others", "POST", "/invite", [][2]string{{keyField, "KEY"}}, 401},
		{"with a wrong token beside the cookie", "GET", "/script", [][2]string{bearerOf("wrong")}, 401},
	} {
		t.Run(row.name, func(t *testing.T) {
			sidecar := &far{}
			address, sessions := serveSessions(t, sidecar)
			cookie, key := enterBy(t, address, sessions.Invite())
			header := [][2]string{{"Cookie", cookie}}
			for _, field := range row.header {
				header = append(header, [2]string{field[0], strings.Replace(field[1], "KEY", key, 1)})
			}
			response, body := ask{method: row.method, path: row.path, header: header}.to(t, address)
			if response.StatusCode != row.status {
				t.Errorf("answer %d %s, want %d", response.StatusCode, body, row.status)
			}
			if reloaded := sidecar.reloads.Load() > 0; reloaded != (row.path == "/reload" && row.status == 200) {
				t.Errorf("reloaded: %t", reloaded)
			}
		})
	}
}

func TestAKeyIsNothingWithoutItsOwnCookie(t *testing.T) {
	address, sessions := serveSessions(t, &far{})
	_, key := enterBy(t, address, sessions.Invite())
	other, _ := enterBy(t, address, sessions.Invite())
	for _, header := range [][][2]string{{{keyField, key}}, {{keyField, key}, {"Cookie", other}}} {
		response, body := ask{method: post, path: "/reload", header: header}.to(t, address)
		wantRefusal(t, response, body, 401, "needs the admin token")
	}
}

func TestASessionEndsAfterTwelveHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSessions()
		cookie, _ := s.begin()
		r, err := http.NewRequest(http.MethodGet, "http://localhost:6189/script", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.AddCookie(&http.Cookie{Name: "outrider-6189", Value: cookie})
		time.Sleep(12*time.Hour - time.Second)
		if !s.may(r, false) {
			t.Error("it ended before")
		}
		time.Sleep(2 * time.Second)
		if s.may(r, false) {
			t.Error("it lasts longer")
		}
	})
}

func TestTheTokenMakesLinksAndLetsIn(t *testing.T) {
	address := serveAPI(t, &far{})
	link, err := Client{Address: address, Token: token}.Invite(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	word, ok := strings.CutPrefix(link, "http://"+address+"/#in=")
	if !ok {
		t.Fatalf("the link is %s", link)
	}
	enterBy(t, address, word)

	json := [2]string{"Content-Type", "application/json"}
	response, body := ask{method: post, path: "/session", header: [][2]string{json, bearerOf(token)}, body: strings.NewReader("{}")}.to(t, address)
	if response.StatusCode != 200 || len(response.Cookies()) != 1 {
		t.Errorf("the token is answered %d %s", response.StatusCode, body)
	}
	response, body = ask{method: post, path: "/session", header: [][2]string{json}, body: strings.NewReader("{}")}.to(t, address)
	wantRefusal(t, response, body, 401, "needs the admin token")
	response, body = ask{method: post, path: "/invite"}.to(t, address)
	wantRefusal(t, response, body, 401, "needs the admin token")
}

func TestGuessingLinksIsSlow(t *testing.T) {
	address, sessions := serveSessions(t, &far{})
	statuses := map[int]int{}
	for range 2 * wrongsPerSecond {
		response, _ := enter("guess").to(t, address)
		statuses[response.StatusCode]++
	}
	if statuses[http.StatusTooManyRequests] == 0 || statuses[http.StatusUnauthorized] < wrongsPerSecond {
		t.Errorf("guesses are answered %v", statuses)
	}
	enterBy(t, address, sessions.Invite()) // the right one still passes
}
