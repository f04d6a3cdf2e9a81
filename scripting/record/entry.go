package record

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"outrider/scripting"
)

// An Entry is one decision and all that it depended on.
type Entry struct {
	ID       string    `json:"id"` // of the request
	At       time.Time `json:"at"` // what the script saw as now
	Version  string    `json:"version"`
	Seed     uint64    `json:"seed,omitempty,string"` // of Math.random; 0: it was not called
	Read     Read      `json:"read"`
	Clusters []Health  `json:"clusters,omitempty"` // those that were looked at
	Decision Decision  `json:"decision"`
}

// Read is what the script read of the request. What is nil, or not listed, it did
// not read.
type Read struct {
	Method      *string        `json:"method,omitempty"`
	Path        *string        `json:"path,omitempty"`
	Query       *string        `json:"query,omitempty"`
	QueryHidden bool           `json:"query_hidden,omitempty"` // some values in it are hashes
	Host        *string        `json:"host,omitempty"`
	Scheme      *string        `json:"scheme,omitempty"`
	IP          *string        `json:"ip,omitempty"`
	Listener    *string        `json:"listener,omitempty"`
	TLS         *scripting.TLS `json:"tls,omitempty"`
	Cleartext   bool           `json:"cleartext,omitempty"` // there was no TLS
	Now         bool           `json:"now,omitempty"`       // the time
	Headers     []Field        `json:"headers,omitempty"`
	Cookies     []Field        `json:"cookies,omitempty"`
	HeaderNames []string       `json:"header_names,omitzero"` // of all headers
	CookieNames []string       `json:"cookie_names,omitzero"` // of all cookies
}

// Field is a header or a cookie that was read.
type Field struct {
	Name   string `json:"name"` // lower case for a header
	Value  string `json:"value"`
	Absent bool   `json:"absent,omitempty"` // the request had none
	Hidden bool   `json:"hidden,omitempty"` // the value is a hash of what was sent
}

// Health is a cluster as the script saw it.
type Health struct {
	Name    string `json:"name"`
	Healthy int    `json:"healthy"`
	Total   int    `json:"total"`
	Missing bool   `json:"missing,omitempty"` // there is no such cluster
}

// Decision is what came of it.
type Decision struct {
	Outcome string `json:"outcome"` // "ok", "exception": see [scripting.Outcome]
	Cluster string `json:"cluster,omitempty"`
	Status  int    `json:"status,omitempty"` // of an answer that the script gave
	Rule    string `json:"rule,omitempty"`
	Error   string `json:"error,omitempty"`
}

// DecisionOf is what is kept of a decision.
func DecisionOf(d scripting.Decision) Decision {
	decided := Decision{Outcome: d.Outcome.String(), Cluster: d.Cluster, Rule: d.Rule}
	if d.Respond != nil {
		decided.Status = d.Respond.Status
	}
	if d.Err != nil {
		decided.Error = d.Err.Error()
	}
	return decided
}

// Target is where the request goes, in a word or two.
func (d Decision) Target() string {
	switch {
	case d.Status != 0:
		return fmt.Sprintf("respond %d", d.Status)
	case d.Cluster != "":
		return d.Cluster
	}
	return d.Outcome
}

// Write writes entries as a dump: a JSON object on each line.
func Write(to io.Writer, entries []Entry) error {
	out := bufio.NewWriter(to)
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	for i := range entries {
		if err := encoder.Encode(&entries[i]); err != nil {
			return err
		}
	}
	return out.Flush()
}

// maxLine is the longest line of a dump, in bytes.
const maxLine = 1 << 20

// Parse reads a dump. An error names the line.
func Parse(from io.Reader) ([]Entry, error) {
	var entries []Entry
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, maxLine)
	number := 0
	for lines.Scan() {
		number++
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		var e Entry
		decoder := json.NewDecoder(bytes.NewReader(line))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&e); err != nil {
			return nil, fmt.Errorf("line %d is no recorded decision: %w; a dump is what `outrider replay --dump` writes", number, err)
		}
		entries = append(entries, e)
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return nil, fmt.Errorf("line %d is longer than %d bytes", number+1, maxLine)
	}
	return entries, lines.Err()
}
