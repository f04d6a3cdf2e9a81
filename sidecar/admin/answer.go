package admin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
)

// refusal is an answer that says why something was not done. A nil refusal means
// that nothing stands against it.
type refusal struct {
	Text  string   `json:"error"`
	Paths []string `json:"paths,omitempty"`

	status int
	header [2]string // a further field; none without a name
}

func refuse(status int, format string, args ...any) *refusal {
	return &refusal{status: status, Text: fmt.Sprintf(format, args...)}
}

func (f *refusal) with(name, value string) *refusal {
	f.header = [2]string{name, value}
	return f
}

func (f *refusal) write(w http.ResponseWriter) {
	if f.header[0] != "" {
		w.Header().Set(f.header[0], f.header[1])
	}
	writeJSON(w, f.status, f)
}

// writeJSON answers body, indented for the eyes of whoever uses curl. Nothing is
// sent before the whole is known to be good.
func writeJSON(w http.ResponseWriter, status int, body any) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false) // nosniff keeps it from being taken for HTML
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(body); err != nil {
		refuse(http.StatusInternalServerError, "this answer cannot be written as JSON: %v", err).write(w)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(text.Bytes()) // who asked has gone: nobody is left to tell
}

func writeText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = fmt.Fprintln(w, text)
}

// harden keeps answers out of caches, and browsers from guessing what they are.
func harden(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
}
