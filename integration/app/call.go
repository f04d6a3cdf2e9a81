package main

import (
	"fmt"
	"io"
	"net/http"
	"time"
)

const (
	callTimeout = 10 * time.Second
	maxAnswer   = 1 << 20 // bytes
)

// call asks for the url that the query names, by the proxy that HTTP_PROXY names,
// if any, and answers what came back. X-Request-Id goes along.
func call(w http.ResponseWriter, r *http.Request) {
	url := r.URL.Query().Get("url")
	request, err := http.NewRequestWithContext(r.Context(), http.MethodGet, url, http.NoBody)
	if err != nil || url == "" {
		http.Error(w, fmt.Sprintf("call whom? /call?url=http://..., not %q", url), http.StatusBadRequest)
		return
	}
	if id := r.Header.Get("X-Request-Id"); id != "" {
		request.Header.Set("X-Request-Id", id)
	}
	client := http.Client{Timeout: callTimeout}
	response, err := client.Do(request)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	answer(w, http.StatusOK, map[string]any{
		"called": url, "status": response.StatusCode, "app": response.Header.Get("App"), "body": string(body),
	})
}
