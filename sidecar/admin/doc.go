// Package admin is how people and probes ask a running sidecar: two handlers,
// the server they stand on, the token that protects them, and the client that
// the command line uses.
//
// [StatusHandler] is for probes and Prometheus. It answers GET and HEAD on
// /livez, /readyz and /metrics in plain text, to anybody.
//
// [Handler] is the admin API: GET /status answers a [Status] as JSON, POST
// /reload activates the configuration that is on disk now and answers
// {"config": ...}, the [ConfigStatus] in force, and POST /rollback makes the
// version of the script before the active one active again and answers
// {"script": ...}, its [ScriptStatus]. GET /clusters is that part of the status; GET
// /peers answers a [PeersStatus], GET /health a [HealthStatus], and GET /config the
// [ConfigText], without what may be a secret; POST /drain asks the peers to send no
// new requests to what the sidecar stands before, POST /undrain takes it back, and
// both answer a [DrainStatus].
//
// GET /decisions answers the recorded decisions of the script, a JSON object on each
// line; ?id= asks for the one on a request. GET /script answers the [ScriptText].
// They tell what clients sent and how the script decides, so who asks for them needs
// the token even where other reading needs none. POST /script/validate takes a
// [Draft] and answers a [DraftReport]: what would be wrong with it, and which of the
// recorded requests it would send elsewhere. POST /explain takes a [Question] and
// answers an [Explanation] of what would happen to such a request now; GET
// /explain?id= answers one of what has happened. With [Options].Edit, POST /script saves
// one that is fine, and makes it active. With [Options].Pprof, Go's profiles are under
// /debug/pprof/, for who has the token.
//
// GET / is the dashboard. It shows what it asks here as everybody else does: GET /traffic
// answers a [TrafficStatus]; GET /events tells a [Snapshot] every second and GET /tap a
// [TapStatus] of the requests that have ended, which needs the token, both as
// server-sent events that end after five minutes. POST /invite answers an [Invitation],
// and POST /session takes it as an [Entry] and lets a browser in; see below.
//
// What is not done is answered {"error": "..."} with a sentence that says what to do:
//
//	400  the body is not what the path takes
//	401  the token is missing or wrong
//	403  the Origin field names another origin than the Host field; or the
//	     configuration does not allow it
//	404  no such path; "paths" lists those there are
//	405  the path has other methods; Allow lists them
//	413  the body is larger than 1 MiB
//	415  a body came that is not application/json
//	421  the Host field is a name that is neither localhost nor in admin.hosts
//	422  the sidecar refused; what was active stays active
//	429  more than ten wrong tokens in a second; the right one still passes
//
// What net/http refuses before a handler sees it, such as a malformed head,
// is answered in plain text.
//
// # Who may do what
//
// A sidecar shares its loopback interface with an app that takes requests from
// strangers, so a connection from loopback proves nothing. Every method but
// GET and HEAD needs the header
//
//	Authorization: Bearer TOKEN
//
// and reading needs it too unless the listener is on loopback.
//
// A browser can not send that header by itself. It is let in by a link with a word that
// works once, within an hour ([Sessions]): then a cookie, HttpOnly and SameSite=Strict,
// stands for the token where something is read, but the profiles. What is written needs
// a key beside the cookie, in the field Outrider-Key, which was given to our own page
// alone: cookies do not tell ports apart, so the app beside the sidecar may come to see
// the cookie, or have it sent.
//
// A browser on the same machine is the other way in. The Host check ends DNS
// rebinding, because a rebound request still carries the attacker's name; an
// address cannot be rebound and passes. The Origin check ends what pages of
// other origins send. And no write is a "simple" request of the Fetch standard
// (https://fetch.spec.whatwg.org/#cors-safelisted-request-header), which
// browsers send without asking first: Authorization is not a safelisted header,
// and a body must be application/json, which is not a safelisted type. The
// question that browsers then ask, OPTIONS, is never answered with consent.
package admin
