package admin

import "net/http"

// StatusHandler answers probes: GET and HEAD on /livez, which is 200 as long as
// the process answers at all, on /readyz, which is 200 or 503 with the reason,
// and on /metrics, which metrics serves. It asks for no token, tells nothing
// else, and takes any Host, because probes come under whatever name they were
// given.
func StatusHandler(s Sidecar, metrics http.Handler) http.Handler {
	probes := routes{
		{method: http.MethodGet, path: "/livez", handle: func(w http.ResponseWriter, _ *http.Request) {
			writeText(w, http.StatusOK, "ok")
		}},
		{method: http.MethodGet, path: "/readyz", handle: func(w http.ResponseWriter, _ *http.Request) {
			if err := s.Ready(); err != nil {
				writeText(w, http.StatusServiceUnavailable, err.Error())
				return
			}
			writeText(w, http.StatusOK, "ok")
		}},
		{method: http.MethodGet, path: "/metrics", handle: metrics.ServeHTTP},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		harden(w)
		found, refused := probes.find(r)
		if refused != nil {
			refused.write(w)
			return
		}
		found.handle(w, r)
	})
}
