package admin

import (
	"context"
	"io"
)

// Sidecar is what the listeners ask of the running sidecar. All methods are
// called from any number of goroutines at once.
type Sidecar interface {
	// Ready is nil when requests can be served well, and else why not, in words
	// for the reader of a probe's log. It does not block.
	Ready() error

	// Status is a snapshot for the caller to keep. It does not block.
	Status() Status

	// Peers and Health are snapshots for the caller to keep. They do not block.
	Peers() PeersStatus
	Health() HealthStatus

	// Traffic is what the clusters did in each of the last seconds, after the one
	// with a number. It does not block.
	Traffic(after uint64) TrafficStatus

	// Tap are the recorded requests after the one with a serial that pass the filter.
	// It does not block.
	Tap(after uint64, f *Filter) TapStatus

	// Settings are the configuration in force, without secrets. It does not block.
	Settings() []Setting

	// ScriptText is the routing script and what its file holds. Its error, which is
	// shown to the caller, says why that can not be read. Without a script the text
	// is empty.
	ScriptText() (ScriptText, error)

	// TryScript tells what would become of a draft; nothing changes. Its error,
	// which is shown to the caller, says why there is nothing to try it for.
	TryScript(Draft) (DraftReport, error)

	// SaveScript puts a draft that would become active into the script's file, and
	// makes it active. On an error the active version stays; its text is shown to
	// the caller.
	SaveScript(Draft) error

	// Explain tells what would happen to a made-up request now, and why; nothing is
	// sent. Its error, which is shown to the caller, says what no request could be.
	Explain(Question) (*Explanation, error)

	// Recall tells what has happened to the request with an id, from the record. Its
	// error, which is shown to the caller, says why that is not known.
	Recall(id string) (*Explanation, error)

	// Drain asks the peers to send no new requests to what the sidecar stands before,
	// and Undrain takes it back. Their errors are shown to the caller.
	Drain() error
	Undrain() error

	// Reload activates the files as they are now. On an error everything is as
	// it was before; its text is shown to the caller. It returns soon after ctx
	// is done, and takes calls that come together one after another.
	Reload(ctx context.Context) error

	// Rollback makes the version of the script before the active one active
	// again, and keeps the active one out until its files change. Its error is
	// shown to the caller.
	Rollback() error

	// WriteDecisions writes the recorded decisions of the script, a JSON object on
	// each line, the oldest first; or, with an id, the one on that request. Its
	// error, which is shown to the caller, says why there are none.
	WriteDecisions(to io.Writer, id string) error
}
