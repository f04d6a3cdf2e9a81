package admin

import (
	"net/http"
	"slices"
	"strings"
)

// route is one thing that can be asked. GET also answers HEAD. Several routes may
// have one path.
type route struct {
	method string
	path   string
	handle http.HandlerFunc

	private bool // tells what clients sent: who asks needs the token, be it from loopback
	takes   bool // reads its body itself; another write takes none
	anyone  bool // tells nothing of the sidecar, or looks itself at who asks
	strict  bool // for who has the token alone, not for browsers that were let in
}

func (r route) methods() []string {
	if r.method == http.MethodGet {
		return []string{http.MethodGet, http.MethodHead}
	}
	return []string{r.method}
}

// routes are compared byte for byte: net/http's mux would redirect what looks
// similar, and answer in plain text.
type routes []route

// find is the route of r, or the refusal when there is none.
func (all routes) find(r *http.Request) (route, *refusal) {
	var allowed []string
	for _, one := range all {
		if one.path != r.URL.Path {
			continue
		}
		if slices.Contains(one.methods(), r.Method) {
			return one, nil
		}
		allowed = append(allowed, one.methods()...)
	}
	if len(allowed) == 0 {
		no := refuse(http.StatusNotFound, "there is no %q here", r.URL.Path)
		no.Paths = all.list()
		return route{}, no
	}
	allow := strings.Join(allowed, ", ")
	return route{}, refuse(http.StatusMethodNotAllowed, "%s takes %s, not %q", r.URL.Path, allow, r.Method).with("Allow", allow)
}

// list is every route as "GET /status", but the files that the dashboard's page asks
// for by itself.
func (all routes) list() []string {
	var list []string
	for _, one := range all {
		if !strings.HasPrefix(one.path, "/"+folder+"/") {
			list = append(list, one.method+" "+one.path)
		}
	}
	return list
}
