package admin

import "net/http"

// ConfigText is what GET /config answers: the configuration in force, key by key,
// in the order of the documentation, and what the last reload came to. What may be
// a secret is hidden.
type ConfigText struct {
	Config   ConfigStatus `json:"config"`
	Settings []Setting    `json:"settings"`
}

// Setting is one key of the configuration.
type Setting struct {
	Key   string `json:"key"`   // clusters.one.check.interval
	Value string `json:"value"` // as it was written, with variables filled in
	Place string `json:"place"` // where it was written; empty: nowhere, it is the default
}

func (a *api) config(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, ConfigText{Config: a.sidecar.Status().Config, Settings: orEmpty(a.sidecar.Settings())})
}

// ClustersStatus is what GET /clusters answers: that part of the [Status].
type ClustersStatus struct {
	Clusters []ClusterStatus `json:"clusters"`
}

func (a *api) clusters(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, ClustersStatus{a.sidecar.Status().withoutNulls().Clusters})
}
