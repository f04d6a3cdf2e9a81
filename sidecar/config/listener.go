package config

import "fmt"

const defaultListener = "main"

// listeners is one address, or a list of sections.
type listeners struct{ into *[]Listener }

func (l listeners) read(r *reader, path string, n *node) {
	*l.into = nil
	if n.kind != kindList {
		only := Listener{Name: defaultListener, Forwarded: ForwardedAppend}
		address(&only.Address, required).read(r, path, n)
		*l.into = []Listener{only}
		return
	}
	if len(n.items) == 0 {
		r.faults.add(n.at, path, "an empty list; write an address such as \":6188\"")
	}
	for i, item := range n.items {
		at := fmt.Sprintf("%s[%d]", path, i)
		r.written[at] = item.at
		*l.into = append(*l.into, l.one(r, at, item))
	}
}

func (l listeners) one(r *reader, path string, n *node) Listener {
	var listener Listener
	listenerKeys(&listener).read(r, path, n)
	if n.kind == kindMapping && n.get("address") == nil {
		r.faults.add(n.at, path, "the address is missing; write { address: \":6188\" }")
	}
	return listener
}

func listenerKeys(l *Listener) section {
	return section{short: "; write { address: \":6188\" }", keys: []key{
		{name: "name", value: text(&l.Name, "name", "a name such as main", namePattern, checkName), def: defaultListener,
			doc: "What scripts see as req.listener."},
		{name: "address", value: address(&l.Address, required), doc: ":port or host:port. Required."},
		{name: "cluster", value: clusterName(&l.Cluster), doc: "Sends everything to this cluster, past the script."},
		{name: "forwarded", value: choice(&l.Forwarded, []Forwarded{ForwardedAppend, ForwardedReplace, ForwardedOff}), def: "append",
			doc: "X-Forwarded-For and its kin: `append` to those of a trusted client (else replace), `replace`, or `off`."},
		{name: "tls", value: termination{into: &l.TLS},
			doc: "Speaks TLS by these certificates. Left out: cleartext."},
		{name: "proxy_protocol", value: yesNo(&l.ProxyProtocol), def: "false",
			doc: "Every connection begins with a PROXY protocol header, version 1 or 2, also before TLS: the address in it is the client's. Only for connections from trusted_proxies; others, and those without the header, are closed."},
	}}
}

func (l listeners) schema() schema {
	section := require(listenerKeys(new(Listener)).schema(), "address")
	return schema{"anyOf": []schema{{"type": "string"}, {"type": "array", "minItems": 1, "items": section}}}
}

func (l listeners) describe() string { return "address, or list of listeners" }
