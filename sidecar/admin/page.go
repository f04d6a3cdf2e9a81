package admin

import (
	"embed"
	"io/fs"
	"net/http"
	"path"
)

// files are the dashboard, as browsers take it: nothing is built.
//
//go:embed dashboard
var files embed.FS

const folder = "dashboard" // in files, and in the paths of all but the page itself

// policy lets the dashboard's own files do what they do, and nothing else do
// anything (https://www.w3.org/TR/CSP3/). Text can not become markup by mistake
// either (https://www.w3.org/TR/trusted-types/).
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// pages are the dashboard. They tell nothing of the sidecar, so anybody may have
// them: they ask for what they show as everybody else does.
func pages() routes {
	all := routes{{method: http.MethodGet, path: "/", handle: page(folder + "/index.html"), anyone: true}}
	_ = fs.WalkDir(files, folder, func(name string, entry fs.DirEntry, err error) error { // it is in the program
		if err == nil && !entry.IsDir() && path.Base(name) != "index.html" {
			all = append(all, route{method: http.MethodGet, path: "/" + name, handle: page(name), anyone: true})
		}
		return err
	})
	return all
}

// kinds are the media types of the files, by the ends of their names: those that the
// system knows could be others.
func kinds() map[string]string {
	return map[string]string{
		".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
	}
}

func page(name string) http.HandlerFunc {
	text, err := files.ReadFile(name)
	if err != nil {
		panic(err) // the program is not whole
	}
	kind := kinds()[path.Ext(name)]
	return func(w http.ResponseWriter, _ *http.Request) {
		header := w.Header()
		header.Set("Content-Type", kind)
		header.Set("Content-Security-Policy", policy)
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("X-Frame-Options", "DENY")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		_, _ = w.Write(text) // who asked has gone: nobody is left to tell
	}
}
