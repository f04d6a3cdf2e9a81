package scripting

import "github.com/dop251/goja"

// TLS is what a script may read of how the client's connection is encrypted.
type TLS struct {
	Version    string   `json:"version"`           // "1.3"
	ServerName string   `json:"server_name"`       // that the client asked for; may be empty
	Subject    string   `json:"subject,omitempty"` // of the client's certificate, which was verified; empty: it came without one
	Names      []string `json:"names,omitempty"`   // that the certificate is for: DNS names, URIs
}

// encryption is `req.tls`: an object that can not be changed, or null.
func (v *view) encryption(r Request) goja.Value {
	t := r.TLS()
	if n := v.rt.notes; n != nil {
		n.Has |= ReadTLS
		n.TLS = t
	}
	if t == nil {
		return goja.Null()
	}
	js := v.rt.js
	names := make([]any, 0, len(t.Names))
	for _, name := range t.Names {
		names = append(names, name)
	}
	o := js.NewObject()
	for _, p := range []struct {
		name  string
		value goja.Value
	}{
		{"version", js.ToValue(t.Version)}, {"serverName", js.ToValue(t.ServerName)},
		{"subject", js.ToValue(t.Subject)}, {"names", js.NewArray(names...)},
	} {
		_ = o.DefineDataProperty(p.name, p.value, goja.FLAG_FALSE, goja.FLAG_FALSE, goja.FLAG_TRUE) // a new object takes it
	}
	return o
}
