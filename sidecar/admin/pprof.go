package admin

import (
	"net/http"
	"net/http/pprof"
)

// profiles are Go's own (https://pkg.go.dev/net/http/pprof). They tell what the
// memory of the process holds, so who asks for them needs the token.
func profiles() routes {
	const root = "/debug/pprof/"
	all := routes{
		{method: http.MethodGet, path: root, handle: pprof.Index, private: true, strict: true},
		{method: http.MethodGet, path: root + "profile", handle: pprof.Profile, private: true, strict: true},
		{method: http.MethodGet, path: root + "trace", handle: pprof.Trace, private: true, strict: true},
		{method: http.MethodGet, path: root + "symbol", handle: pprof.Symbol, private: true, strict: true},
	}
	for _, name := range []string{"allocs", "block", "goroutine", "heap", "mutex", "threadcreate"} {
		all = append(all, route{method: http.MethodGet, path: root + name, handle: pprof.Handler(name).ServeHTTP, private: true, strict: true})
	}
	return all
}
