package scripting

import (
	"math"
	"strings"
	"sync"
	"time"

	"github.com/dop251/goja"
	"github.com/sirupsen/logrus"
)

// Limits of console.log, per script.
const (
	consoleRate  = 10 // lines per second
	consoleBurst = 20
	consoleLine  = 1024 // bytes
)

func (rt *runtime) installConsole() {
	console := rt.js.NewObject()
	for name, write := range map[string]func(logrus.FieldLogger, ...any){
		"log": logrus.FieldLogger.Info, "warn": logrus.FieldLogger.Warn, "error": logrus.FieldLogger.Error,
	} {
		must(console.Set(name, rt.function(name, func(call goja.FunctionCall) goja.Value {
			rt.print(write, call.Arguments)
			return goja.Undefined()
		})))
	}
	must(rt.js.GlobalObject().DefineDataProperty("console", console, goja.FLAG_TRUE, goja.FLAG_TRUE, goja.FLAG_FALSE))
}

func (rt *runtime) print(write func(logrus.FieldLogger, ...any), values []goja.Value) {
	allowed, dropped := rt.script.console.take(time.Now())
	if !allowed {
		return
	}
	words := make([]string, len(values))
	for i, value := range values {
		words[i] = rt.show(value)
	}
	log := rt.script.log
	if dropped > 0 {
		log = log.WithField("dropped", dropped)
	}
	write(log, "script says: "+shorten(oneLine(strings.Join(words, " ")), consoleLine))
}

// show renders a value for the log: objects as JSON, errors and functions as text.
func (rt *runtime) show(value goja.Value) string {
	object, ok := value.(*goja.Object)
	if !ok || object.ClassName() == "Error" || object.ClassName() == "Function" {
		return value.String()
	}
	var text goja.Value
	thrown := rt.js.Try(func() { text = rt.toJSON(goja.FunctionCall{Arguments: []goja.Value{value}}) })
	if thrown != nil || goja.IsUndefined(text) { // circular, too large
		return "[object " + object.ClassName() + "]"
	}
	return text.String()
}

// A limiter is a token bucket that counts what it refuses.
type limiter struct {
	rate, burst float64 // per second; at once

	mu      sync.Mutex
	tokens  float64
	last    time.Time
	dropped int
}

func newLimiter(rate, burst float64) *limiter {
	return &limiter{rate: rate, burst: burst, tokens: burst}
}

func newConsoleLimiter(talkative bool) *limiter {
	if talkative {
		return newLimiter(0, math.Inf(1))
	}
	return newLimiter(consoleRate, consoleBurst)
}

// take reports whether one more may pass, and how many did not since the last that did.
func (l *limiter) take(now time.Time) (allowed bool, dropped int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.last.IsZero() {
		l.tokens = min(l.burst, l.tokens+l.rate*now.Sub(l.last).Seconds())
	}
	l.last = now
	if l.tokens < 1 {
		l.dropped++
		return false, 0
	}
	l.tokens--
	dropped, l.dropped = l.dropped, 0
	return true, dropped
}
