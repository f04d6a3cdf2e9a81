package dashboard_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/storage"
	"github.com/chromedp/chromedp"
)

// patience is how long a test waits for what must happen; this machine may be busy.
const patience = 30 * time.Second

// page is a page in a browser of its own, which nobody let in yet.
type page struct {
	t   *testing.T
	ctx context.Context

	mu    sync.Mutex // guards what follows
	wrong []string   // what the browser complained of
	asked []string   // addresses
}

// open opens an address.
func open(t *testing.T, address string) *page {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium(t)), chromedp.Flag("disable-gpu", true))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // which root can not have
	}
	ctx, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	ctx, cancel := chromedp.NewContext(ctx, chromedp.WithErrorf(func(string, ...any) {})) // it tells of events that it does not know
	t.Cleanup(cancel)
	ctx, late := context.WithTimeout(ctx, 3*time.Minute)
	t.Cleanup(late)
	p := &page{t: t, ctx: ctx}
	chromedp.ListenTarget(ctx, p.hear)
	p.do(emulation.SetFocusEmulationEnabled(true), chromedp.Navigate(address)) // as if the window were in front
	return p
}

// hear notes what the browser complains of, and whom it asks.
func (p *page) hear(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.APITypeError || e.Type == runtime.APITypeWarning {
			p.wrong = append(p.wrong, fmt.Sprintf("console: %s %s", e.Type, e.Args[0].Value))
		}
	case *runtime.EventExceptionThrown:
		p.wrong = append(p.wrong, "exception: "+e.ExceptionDetails.Text+" "+e.ExceptionDetails.Exception.Description)
	case *log.EventEntryAdded:
		if e.Entry.Level == log.LevelError || e.Entry.Level == log.LevelWarning {
			p.wrong = append(p.wrong, "log: "+e.Entry.Text+" "+e.Entry.URL)
		}
	case *network.EventRequestWillBeSent:
		p.asked = append(p.asked, e.Request.URL)
	}
}

// wantQuiet checks that the browser did not complain, and asked nobody but the sidecar.
func (p *page) wantQuiet(address string) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, wrong := range p.wrong {
		p.t.Errorf("the browser says %s", wrong)
	}
	for _, asked := range p.asked {
		if u, err := url.Parse(asked); err != nil || u.Host != address {
			p.t.Errorf("the page asked for %s", asked)
		}
	}
}

func (p *page) do(actions ...chromedp.Action) {
	p.t.Helper()
	if err := chromedp.Run(p.ctx, actions...); err != nil {
		p.t.Fatalf("%v\nthe browser says %q", err, p.wrong)
	}
}

// eval is what an expression of JavaScript comes to.
func eval[T any](p *page, expression string, options ...chromedp.EvaluateOption) (value T) {
	p.t.Helper()
	p.do(chromedp.Evaluate(expression, &value, options...))
	return value
}

// awaitPromise has eval wait for what a promise comes to.
func awaitPromise(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }

// await waits until an expression of JavaScript is true.
func (p *page) await(expression string) {
	p.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		var met bool
		if err := chromedp.Run(p.ctx, chromedp.Evaluate(`!!(`+expression+`)`, &met)); err != nil {
			p.t.Fatalf("%s: %v", expression, err)
		}
		if met {
			return
		}
	}
	p.t.Fatalf("it does not come to %s; the page says\n%s\nthe browser %q", expression, eval[string](p, `document.body.innerText`), p.wrong)
}

// awaitText waits until what a selector selects has some text in it.
func (p *page) awaitText(selector, text string) {
	p.t.Helper()
	p.await(fmt.Sprintf(`[...document.querySelectorAll(%q)].some((one) => one.textContent.includes(%q))`, selector, text))
}

func (p *page) view(name string) {
	p.t.Helper()
	p.do(chromedp.Evaluate(fmt.Sprintf(`location.hash = %q`, name), nil))
	p.await(fmt.Sprintf(`document.querySelector('nav a[aria-current]')?.hash === '#%s'`, name))
}

// size makes the window so wide, in light or dark.
func (p *page) size(width int64, scheme string) {
	p.t.Helper()
	height := map[bool]int64{true: 780, false: 900}[width < 600]
	p.do(chromedp.EmulateViewport(width, height),
		emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}))
}

// shoot keeps a picture for people to look at.
func (p *page) shoot(name string) {
	p.t.Helper()
	var picture []byte
	p.do(chromedp.CaptureScreenshot(&picture))
	if err := os.MkdirAll("screenshots", 0o755); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join("screenshots", name+".png"), picture, 0o644); err != nil {
		p.t.Fatal(err)
	}
}

// wantFits checks that nothing has to be scrolled sideways to be seen.
func (p *page) wantFits(what string) {
	p.t.Helper()
	if over := eval[int](p, `document.documentElement.scrollWidth - document.documentElement.clientWidth`); over > 0 {
		p.t.Errorf("%s is %d pixels wider than the window", what, over)
	}
}

// cookies are all that the browser has.
func (p *page) cookies() (all []*network.Cookie) {
	p.t.Helper()
	p.do(chromedp.ActionFunc(func(ctx context.Context) (err error) {
		all, err = storage.GetCookies().Do(ctx)
		return err
	}))
	return all
}

// mayCopy lets the page use the clipboard.
func (p *page) mayCopy(address string) {
	p.t.Helper()
	p.do(browser.GrantPermissions([]browser.PermissionType{browser.PermissionTypeClipboardReadWrite, browser.PermissionTypeClipboardSanitizedWrite}).WithOrigin("http://" + address))
}

// replace puts a text into the script's editor, as typing does.
func (p *page) replace(text string) {
	p.t.Helper()
	p.do(chromedp.Evaluate(fmt.Sprintf(`{
		const area = document.querySelector('.editor textarea');
		area.value = %q;
		area.dispatchEvent(new Event('input', { bubbles: true }));
	}`, text), nil))
}

func (p *page) click(button string) {
	p.t.Helper()
	p.await(fmt.Sprintf(`[...document.querySelectorAll('main button')].some((one) => one.textContent === %q && !one.disabled && !one.hidden)`, button))
	p.do(chromedp.Click(fmt.Sprintf(`//main//button[.=%q]`, button)))
}

func lines(text ...string) string { return strings.Join(text, "\n") + "\n" }
