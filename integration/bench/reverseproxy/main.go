// Command reverseproxy is what one gets from Go's standard library in thirty lines: net/http's server and
// httputil.ReverseProxy, with the rule of the other contenders (/one/ to one, everything else to two). The
// benchmark measures it beside Outrider.
package main

import (
	"flag"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"time"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:6188", "address to serve on")
	one := flag.String("one", "127.0.0.1:8001", "backend of paths below /one/")
	two := flag.String("two", "127.0.0.1:8002", "backend of all other paths")
	connections := flag.Int("connections", 64, "idle connections kept to each backend")
	flag.Parse()

	server := &http.Server{
		Addr:              *listen,
		Handler:           reverseProxy(*one, *two, *connections),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       75 * time.Second,
	}
	log.Fatal(server.ListenAndServe())
}

func reverseProxy(one, two string, connections int) *httputil.ReverseProxy {
	toOne := &url.URL{Scheme: "http", Host: one}
	toTwo := &url.URL{Scheme: "http", Host: two}
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			if strings.HasPrefix(r.In.URL.Path, "/one/") {
				r.SetURL(toOne)
			} else {
				r.SetURL(toTwo)
			}
			r.Out.Host = r.In.Host
			r.SetXForwarded()
		},
		Transport: &http.Transport{
			MaxIdleConnsPerHost:   connections,
			IdleConnTimeout:       90 * time.Second,
			ResponseHeaderTimeout: 30 * time.Second,
			// A proxy hands on what the client accepts instead of asking for gzip itself.
			DisableCompression: true,
		},
	}
}
