package dashboard_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

const pathRoutes = "function route(req) {\n  return req.path.startsWith('/one/') ? 'one' : 'two';\n}\n"

func clusters(one, two string) string {
	return fmt.Sprintf("clusters:\n  one: { backends: %s, %s }\n  two: { backends: %s, %s }\n", one, quick, two, quick)
}

func views() []string { return []string{"traffic", "health", "requests", "script", "peers"} }

// everySize looks at every view in every size, in light and dark.
func everySize(p *page, what string) {
	p.t.Helper()
	for _, width := range []int64{360, 768, 1280, 1920} {
		for _, scheme := range []string{"light", "dark"} {
			p.size(width, scheme)
			for _, view := range views() {
				p.view(view)
				p.await(`document.querySelector('main > section')`)
				name := fmt.Sprintf("%s-%s-%d-%s", what, view, width, scheme)
				p.wantFits(name)
				p.shoot(name)
			}
		}
	}
}

func TestEverythingIsShownOfAFewBackendsAndPeersInEverySize(t *testing.T) {
	_, one := newBackends(t, 2)
	_, two := newBackends(t, 1)
	gossip := "gossip: { listen: GOSSIP, share_loopback: true, insecure: true, join: [%s] }\n"
	first := start(t, "shop-1", clusters(one, two)+fmt.Sprintf(gossip, ""), pathRoutes)
	start(t, "shop-2", clusters(one, two)+fmt.Sprintf(gossip, fmt.Sprintf("%q", first.gossip)), "function route() { return 'two'; }\n")
	p := open(t, first.link())
	p.awaitText("#live", "live")
	first.askOn("/one/cart", "/two/list", "/one/bad", "/orders")

	p.awaitText("main h2", "one")
	p.await(`Number(document.querySelector('.figure b').textContent) > 5`)
	p.await(`document.querySelector('[data-cluster=one] path.main').getAttribute('d')?.length > 50`)
	p.await(`parseFloat(document.querySelector('.figure:nth-child(2) b').textContent) > 0`)
	p.awaitText(`[data-cluster=one] tbody td:nth-child(4)`, " ms") // p50 of a backend
	p.view("peers")
	p.await(`document.querySelectorAll('tr[data-peer]').length === 2`)
	p.await(`document.querySelectorAll('tr[data-peer=shop-2] [data-drift]').length > 0`)
	if drifts := eval[int](p, `document.querySelectorAll('tr[data-peer=shop-1] [data-drift]').length`); drifts != 0 {
		t.Error("the sidecar differs from itself")
	}
	p.view("script")
	p.awaitText("[data-fact=file]", "route.js")
	p.await(`document.querySelector('.editor textarea').value.includes('startsWith')`)
	p.awaitText("[data-outcome=ok]", "100 %")
	everySize(p, "few")
	p.wantQuiet(first.admin)
}

func TestWithoutDataThePageSaysSo(t *testing.T) {
	s := start(t, "shop", "clusters:\n  one: { backends: ['nobody.invalid:80'] }\n", "")
	p := open(t, s.link())
	p.awaitText("#live", "live")
	p.awaitText(".empty", "do not resolve")
	p.view("health")
	p.awaitText("main", "There is no backend")
	p.view("requests")
	p.awaitText("main", "They show here as they end")
	p.view("script")
	p.awaitText("main", "The built-in rule routes")
	p.view("peers")
	p.awaitText("main", "There are no peers")
	everySize(p, "none")
	p.wantQuiet(s.admin)
}

func TestThreeHundredBackendsAreShown(t *testing.T) {
	all, one := newBackends(t, 299)
	_, two := newBackends(t, 1)
	s := start(t, "shop", clusters(one, two), pathRoutes)
	for _, b := range all[100:105] {
		b.end()
	}
	p := open(t, s.link())
	p.await(`document.querySelectorAll('[data-cluster=one] tbody tr').length === 299`)
	p.await(`document.querySelectorAll('[data-cluster=one] .strip i').length === 299`)
	p.await(`document.querySelectorAll('[data-cluster=one] .strip [data-state=down]').length === 5`)
	p.await(`document.querySelectorAll('[data-cluster=one] tbody tr:nth-child(-n+5)[data-state=down]').length === 5`) // first
	p.awaitText("[data-cluster=one] .pill", "294 of 299 in turn")
	p.view("health")
	p.await(`document.querySelectorAll('.matrix tbody tr').length === 300`)
	everySize(p, "many")
	p.size(1280, "light")
	p.view("health")
	p.do(chromedp.Click(".tools input[type=checkbox]"))
	p.await(`document.querySelectorAll('.matrix tbody tr').length === 5`)
	p.do(chromedp.SendKeys(".tools .filter", all[101].address))
	p.await(`document.querySelectorAll('.matrix tbody tr').length === 1`)
	p.wantQuiet(s.admin)
}

func TestADeathShowsByItselfAndSaysWhoSawIt(t *testing.T) {
	all, one := newBackends(t, 2)
	_, two := newBackends(t, 1)
	s := start(t, "shop", clusters(one, two), pathRoutes)
	p := open(t, s.link())
	p.awaitText("[data-cluster=one] .pill", "2 in turn")
	all[0].end()
	p.awaitText("[data-cluster=one] .pill", "1 of 2 in turn")
	p.await(fmt.Sprintf(`document.querySelector('tr[data-backend=%q]').dataset.state === 'down'`, all[0].address))
	p.awaitText(fmt.Sprintf("tr[data-backend=%q] small", all[0].address), "refused")

	p.view("health")
	p.await(fmt.Sprintf(`document.querySelector('tr[data-backend=%q] button[data-state=down]')`, all[0].address))
	own := fmt.Sprintf("tr[data-backend=%q] td:nth-child(3) button", all[0].address)
	p.do(chromedp.Evaluate(fmt.Sprintf(`document.querySelector(%q).focus()`, own), nil))
	p.awaitText("#tip", "This sidecar itself")
	p.awaitText("#tip", "refused")
	p.shoot("tip-by-focus")
	p.do(chromedp.KeyEvent(kb.ArrowLeft))
	p.awaitText("#tip", "is down, for")
	p.do(chromedp.KeyEvent(kb.ArrowDown))
	p.awaitText("#tip", all[1].address+" is up")
	p.do(chromedp.KeyEvent(kb.Escape))
	p.await(`document.querySelector('#tip').hidden`)
	p.do(chromedp.Evaluate(fmt.Sprintf(`document.querySelector(%q).dispatchEvent(new PointerEvent('pointerenter'))`, own), nil))
	p.awaitText("#tip", "This sidecar itself")

	all[0].begin()
	p.await(fmt.Sprintf(`document.querySelector('tr[data-backend=%q] button[data-state=up]')`, all[0].address))
	p.wantQuiet(s.admin)
}

const hostile = `<img src=x onerror="window.hacked=1">`

func TestWhatClientsSendStaysText(t *testing.T) {
	_, one := newBackends(t, 1)
	_, two := newBackends(t, 1)
	s := start(t, "shop", clusters(one, two), "function route(req) {\n  return { cluster: 'one', rule: 'agent ' + req.headers.get('user-agent') };\n}\n")
	p := open(t, s.link())
	p.awaitText("#live", "live")
	s.ask("/one/"+strings.ReplaceAll(hostile, " ", "/"), "User-Agent: "+hostile, "X-Request-Id: <svg/onload=window.hacked=1>")
	s.ask("/one/'\"><script>window.hacked=1</script>", "User-Agent: </td><script>window.hacked=1</script>")

	p.view("requests")
	p.awaitText("button.request", "<img/src=x/onerror=")
	p.awaitText("button.request", "<script>window.hacked=1</script>")
	p.awaitText(".rule", hostile)
	p.shoot("hostile")
	p.do(chromedp.Evaluate(`[...document.querySelectorAll('button.request')].find((one) => one.textContent.includes('<img')).click()`, nil))
	p.awaitText("dialog dd", hostile)
	p.shoot("hostile-explained")
	if eval[bool](p, `'hacked' in window`) {
		t.Error("what a client sent has run")
	}
	if found := eval[int](p, `document.querySelectorAll('main img, main script, main svg[onload], dialog img').length`); found != 0 {
		t.Errorf("what a client sent has become %d elements", found)
	}
	p.do(chromedp.KeyEvent(kb.Escape))
	p.await(`!document.querySelector('dialog').open`)
	p.wantQuiet(s.admin)
}

func TestTheTapIsFilteredAndExplains(t *testing.T) {
	_, one := newBackends(t, 1)
	_, two := newBackends(t, 1)
	s := start(t, "shop", clusters(one, two), pathRoutes)
	p := open(t, s.link())
	p.awaitText("#live", "live")
	p.view("requests")
	for _, path := range []string{"/one/cart", "/one/bad", "/list"} {
		s.ask(path)
	}
	rows := func(n int) string { return fmt.Sprintf(`document.querySelectorAll('.taps tbody tr').length === %d`, n) }
	p.await(rows(3))
	p.do(chromedp.KeyEvent("/"))
	p.await(`document.activeElement.matches('.filter')`)
	p.do(chromedp.SendKeys(".filter", "cart"))
	p.await(rows(1))
	s.ask("/one/cart?again")
	p.await(rows(2)) // live
	p.do(chromedp.Evaluate(`{ const f = document.querySelector('.filter'); f.value = ''; f.dispatchEvent(new Event('input')); }`, nil))
	p.await(rows(4))
	p.do(chromedp.Evaluate(`{ const f = document.querySelector('select[aria-label=status]'); f.value = '5xx'; f.dispatchEvent(new Event('change')); }`, nil))
	p.await(rows(1))
	p.do(chromedp.Evaluate(`document.querySelector('button.request').click()`, nil))
	p.awaitText("dialog h2", "GET /one/bad")
	p.awaitText("dialog .lead", "500")
	p.awaitText("dialog dd", "route.js:2")
	p.shoot("explained")
	p.wantQuiet(s.admin)
}

func TestTheWorkbenchChecksComparesAndCopies(t *testing.T) {
	_, one := newBackends(t, 1)
	_, two := newBackends(t, 1)
	s := start(t, "shop", clusters(one, two), pathRoutes)
	p := open(t, s.link())
	p.mayCopy(s.admin)
	p.awaitText("#live", "live")
	for i := range 20 {
		s.ask(fmt.Sprintf("/%s/%d", []string{"one", "two"}[i%2], i))
	}
	p.view("script")
	p.await(`document.querySelector('.editor textarea').value.includes('startsWith')`)

	p.replace(lines("function route(req) {", "  const x = ;", "  return 'one';", "}"))
	p.click("Try it")
	p.awaitText(".report .lead", "It would be refused")
	p.awaitText(".report .place", "2:")
	p.await(`document.querySelector('.gutter span:nth-child(2)').dataset.state === 'bad'`)
	p.await(`document.querySelector('.notes span')`)
	p.shoot("workbench-fault")
	p.do(chromedp.Evaluate(`document.querySelector('.report .place').click()`, nil))
	if at := eval[int](p, `document.querySelector('.editor textarea').selectionStart`); at < len("function route(req) {\n") || at > len("function route(req) {\n  const x = ;\n") {
		t.Errorf("the place leads to %d", at)
	}

	moved := lines("function route(req) {", "  return req.path === '/one/4' ? 'two' : req.path.startsWith('/one/') ? 'one' : 'two';", "}")
	p.replace(moved)
	p.await(`document.querySelector('.report').childElementCount === 0`) // what was said of another text is gone
	p.do(chromedp.Focus(".editor textarea"), chromedp.Evaluate(`document.querySelector('.editor textarea').dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', ctrlKey: true, bubbles: true, cancelable: true }))`, nil))
	p.awaitText(".moved", "1 of 20 recorded requests would move from one to two")
	p.awaitText(".samples", "/one/4")
	p.shoot("workbench-moves")

	if eval[bool](p, `[...document.querySelectorAll('.bench button')].some((one) => one.textContent.startsWith('Save') && !one.hidden)`) {
		t.Error("without admin.edit it can be saved")
	}
	p.click("Copy")
	p.awaitText(".bench .tools", "copied")
	p.click("Undo all")
	p.await(fmt.Sprintf(`document.querySelector('.editor textarea').value === %q`, pathRoutes))
	p.wantQuiet(s.admin)
}

func TestTheWorkbenchSavesWhereThatIsAllowed(t *testing.T) {
	_, one := newBackends(t, 1)
	_, two := newBackends(t, 1)
	s := start(t, "shop", clusters(one, two)+"admin: { listen: ADMIN, edit: true }\n", pathRoutes)
	p := open(t, s.link())
	p.awaitText("#live", "live")
	p.view("script")
	p.await(`document.querySelector('.editor textarea').value.includes('startsWith')`)
	before := eval[string](p, `document.querySelector('[data-fact=version]').textContent`)
	next := lines("// every request", "function route() { return 'two'; }")
	p.replace(next)
	if !eval[bool](p, `[...document.querySelectorAll('.bench button')].find((one) => one.textContent.startsWith('Save')).disabled`) {
		t.Error("it can be saved without a try")
	}
	p.click("Try it")
	p.awaitText(".report .lead", "It would become version")
	p.click("Save and activate")
	p.awaitText(".bench .tools", "saved, and active")
	p.await(fmt.Sprintf(`document.querySelector('[data-fact=version]').textContent !== %q`, before))
	p.awaitText(`[data-fact="before it"]`, before)
	if text, err := os.ReadFile(s.script); err != nil || string(text) != next {
		t.Errorf("the file holds %q: %v", text, err)
	}
	p.shoot("workbench-saved")

	// Somebody else edits the file: what is typed here stays, and the page tells.
	p.replace(next + "// mine\n")
	s.write(lines("// theirs", "function route() { return 'one'; }"))
	p.awaitText(".notice", "Another version is in force now")
	p.await(`document.querySelector('.editor textarea').value.endsWith('// mine\n')`)
	p.click("Try it")
	p.click("Save and activate")
	p.awaitText(".bench .tools", "has changed since")
	p.click("Open what the file holds")
	p.await(`document.querySelector('.editor textarea').value.startsWith('// theirs')`)
}

func TestALinkLetsInOnceAndTheTokenAlways(t *testing.T) {
	_, one := newBackends(t, 1)
	s := start(t, "shop", clusters(one, one), pathRoutes)
	link := s.link()
	p := open(t, link)
	p.awaitText("#live", "live")
	if at := eval[string](p, `location.href`); strings.Contains(at, "in=") {
		t.Errorf("the link's word stays in the address: %s", at)
	}
	cookies := p.cookies()
	if len(cookies) != 1 || !cookies[0].HTTPOnly || cookies[0].SameSite != network.CookieSameSiteStrict {
		t.Fatalf("the cookies are %+v", cookies)
	}
	if seen := eval[string](p, `document.cookie`); seen != "" {
		t.Errorf("scripts see the cookie %q", seen)
	}
	p.wantQuiet(s.admin)

	second := open(t, link)
	second.awaitText("body > .notice", "was used already")
	second.awaitText("#live", "live") // on loopback what is not private is shown to all
	if cookies := second.cookies(); len(cookies) != 0 {
		t.Errorf("the link lets a second browser in: %+v", cookies)
	}
	second.view("requests")
	second.awaitText(".letin", "outrider dashboard")
	second.shoot("let-in")
	second.do(chromedp.SendKeys(".letin input", "wrong"), chromedp.Click(".letin button"))
	second.awaitText(".letin .bad", "not the admin token")
	second.do(chromedp.SetValue(".letin input", s.token()), chromedp.Click(".letin button"))
	second.await(`!document.querySelector('.tools').hidden`)
	s.ask("/one/now")
	second.awaitText("button.request", "/one/now")

	// Who is forgotten is asked again.
	second.do(network.ClearBrowserCookies(), chromedp.SendKeys(".filter", "now"))
	second.await(`!document.querySelector('.letin').hidden`)
}

func TestOffLoopbackOnlyWhoIsLetInSeesAnything(t *testing.T) {
	_, one := newBackends(t, 1)
	s := start(t, "shop", clusters(one, one)+"admin: { listen: ADMIN, token_file: token }\n", pathRoutes, offLoopback)
	p := open(t, "http://"+s.admin)
	p.awaitText(".letin", "can be reached from other hosts")
	p.awaitText("#live", "locked")
	p.shoot("locked")
	p.do(chromedp.SetValue(".letin input", "a-token"), chromedp.Click(".letin button"))
	p.awaitText("#live", "live")
	p.awaitText("[data-cluster=one] .pill", "1 in turn")

	q := open(t, s.link())
	q.awaitText("#live", "live")
	q.wantQuiet(s.admin)
}

func TestTheShadowsMovesAreShown(t *testing.T) {
	_, one := newBackends(t, 1)
	s := start(t, "shop", clusters(one, one)+"script: { file: route.js, shadow: { file: next.js, sample: 100% } }\n", pathRoutes, func(s *sidecar) {
		s.put("next.js", "function route(req) {\n  if (req.path === '/one/b') throw new Error('no');\n  return 'two';\n}\n")
	})
	p := open(t, s.link())
	p.awaitText("#live", "live")
	p.view("script")
	p.awaitText("#shadow", "was asked on 0 requests: it would move none")
	for _, path := range []string{"/one/a", "/one/a", "/one/b", "/two"} {
		s.ask(path)
	}
	p.awaitText("#shadow", "was asked on 4 requests")
	p.awaitText("#shadow", "and failed on 1")
	p.await(`[...document.querySelectorAll('#shadow tbody tr')].some((row) => row.textContent === 'onetwo2GET /one/a  GET /one/a')`)
	p.do(chromedp.ScrollIntoView("#shadow"))
	p.shoot("shadow")
	p.wantQuiet(s.admin)
}

func TestPagesOfOthersCanDoNothingInABrowserThatIsIn(t *testing.T) {
	_, one := newBackends(t, 1)
	s := start(t, "shop", clusters(one, one)+"admin: { listen: ADMIN, edit: true }\n", pathRoutes)
	p := open(t, s.link())
	p.awaitText("#live", "live")
	if said := eval[string](p, `fetch('/script').then((one) => String(one.status))`, awaitPromise); said != "200" {
		t.Fatalf("our own page is answered %s", said)
	}
	if said := eval[string](p, `fetch('/reload', { method: 'POST' }).then((one) => String(one.status))`, awaitPromise); said != "401" {
		t.Errorf("without the key a write of our own page is answered %s", said)
	}

	// Another port of the same host is another origin, but the same site: it gets the cookie.
	other := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "<title>another app</title>")
	}))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	other.Listener = ln
	other.Start()
	t.Cleanup(other.Close)
	p.do(chromedp.Navigate(other.URL))
	for _, try := range []string{
		`fetch('http://ADMIN/script', { credentials: 'include' }).then((one) => one.text())`,
		`fetch('http://ADMIN/reload', { method: 'POST', credentials: 'include' }).then((one) => one.text())`,
		`fetch('http://ADMIN/script', { method: 'POST', credentials: 'include', headers: { 'Content-Type': 'application/json', 'Outrider-Key': 'x' }, body: '{}' }).then((one) => one.text())`,
		`fetch('http://ADMIN/script', { credentials: 'include', mode: 'no-cors' }).then((one) => one.type === 'opaque' ? Promise.reject() : one.text())`,
		`new Promise((yes, no) => { const tap = new EventSource('http://ADMIN/tap', { withCredentials: true }); tap.onmessage = yes; tap.onerror = no; })`,
		`new Promise((yes, no) => { const frame = document.createElement('iframe'); frame.src = 'http://ADMIN/'; frame.onload = () => { try { yes(frame.contentDocument.title || no()); } catch { no(); } }; document.body.append(frame); })`,
	} {
		told := eval[string](p, strings.ReplaceAll(try, "ADMIN", s.admin)+`.then((said) => 'told ' + said, () => 'refused')`, awaitPromise)
		if told != "refused" {
			t.Errorf("%s is %s", try, told)
		}
	}
}
