package cases

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// Append adds a case to the end of a table and leaves what is there as it is,
// comments and all. A file that is not there is made. Nothing is written where the
// result would not read back as it is meant: into a table in brackets, or one that
// has faults already.
func Append(file string, row Row) error {
	before, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	addition, err := addition(file, before, row)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(addition)
	return errors.Join(err, f.Close())
}

// addition is what the table has to be continued with.
func addition(file string, before []byte, row Row) ([]byte, error) {
	t := readTable(file, before)
	if err := t.err(); err != nil {
		return nil, fmt.Errorf("a case can be added to a table without faults only:\n%w", err)
	}
	indent, err := t.indent(before)
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	if len(before) > 0 && before[len(before)-1] != '\n' {
		b.WriteByte('\n')
	}
	row.write(&b, strings.Repeat(" ", indent))
	text := b.String()
	if bytes.Contains(before, []byte("\r\n")) {
		text = strings.ReplaceAll(text, "\n", "\r\n")
	}
	after := readTable(file, append(bytes.Clone(before), text...))
	if err := after.err(); err != nil {
		return nil, fmt.Errorf("the case can not be added:\n%w", err)
	}
	if len(after.rows) != len(t.rows)+1 || !after.rows[len(t.rows)].same(&row) {
		return nil, fmt.Errorf("%s: the case can not be added behind what the file ends with", file)
	}
	return []byte(text), nil
}

// indent is how far the dashes of a table are from the left.
func (t *table) indent(content []byte) (int, error) {
	list, ok := newText(t.name, content).parse(content).(*ast.SequenceNode)
	switch {
	case !ok:
		return 0, nil
	case list.IsFlowStyle:
		return 0, fmt.Errorf("%s: the table is in brackets; write it with a dash for each case, so that more can be added", t.name)
	}
	return list.Start.Position.Column - 1, nil
}

// same tells whether two rows say the same.
func (row *Row) same(other *Row) bool {
	a, b := *row, *other
	for _, r := range []*Row{&a, &b} {
		r.At, r.request, r.downAt = Position{}, nil, nil
		r.Now = r.Now.UTC()
	}
	return a.Now.Equal(b.Now) && reflect.DeepEqual(a, b)
}

// write renders the row as a block, with what is not said left out.
func (row *Row) write(b *strings.Builder, indent string) {
	w := &writer{b: b, indent: indent + "  "}
	b.WriteString(indent + "- ")
	w.first = true
	w.text("name", row.Name)
	w.text("request", row.Sketch.Line)
	w.headers("headers", fieldsOf(row.Sketch.Headers))
	w.text("host", row.Sketch.Host)
	w.text("ip", row.Sketch.IP)
	w.text("id", row.Sketch.ID)
	w.text("listener", row.Sketch.Listener)
	w.text("subject", row.Sketch.Subject)
	w.list("down", row.Down)
	if row.Data != nil {
		w.line("data", string(row.Data))
	}
	if row.Env != nil {
		w.variables("env", row.Env)
	}
	if !row.Now.IsZero() {
		w.line("now", moments(row.Now))
	}
	if row.Seed != 0 {
		w.line("seed", strconv.FormatUint(row.Seed, 10))
	}
	row.Expect.write(w)
}

// moments are written as a date, and as milliseconds where that says more.
func moments(at time.Time) string {
	if at.Nanosecond() == 0 && at.Year() >= 0 && at.Year() <= 9999 {
		return at.UTC().Format(time.RFC3339)
	}
	return strconv.FormatInt(at.UnixMilli(), 10)
}

func (e *Expectation) write(w *writer) {
	if reflect.DeepEqual(*e, Expectation{Cluster: e.Cluster}) && len(e.Cluster) == 1 && e.Cluster[0] != "" {
		w.line("expect", plain(e.Cluster[0]))
		return
	}
	w = w.section("expect")
	switch {
	case len(e.Cluster) == 1 && e.Cluster[0] == "":
		w.line("cluster", "null")
	case len(e.Cluster) == 1:
		w.line("cluster", plain(e.Cluster[0]))
	default:
		w.list("cluster", e.Cluster)
	}
	w.maybe("rule", e.Rule)
	if a := e.Respond; a != nil {
		a.write(w.section("respond"))
	}
	w.headers("requestHeaders", e.RequestHeaders)
	w.headers("responseHeaders", e.ResponseHeaders)
	w.maybe("path", e.Path)
	w.maybe("hashKey", e.HashKey)
	if e.Timeout != nil {
		w.line("timeout", e.Timeout.String())
	}
	w.text("outcome", e.Outcome)
}

func (a *Answer) write(w *writer) {
	if a.Status != 0 {
		w.line("status", strconv.Itoa(a.Status))
	}
	w.headers("headers", a.Headers)
	w.maybe("body", a.Body)
}

// fieldsOf gathers the values of repeated fields.
func fieldsOf(headers []Header) []Edit {
	var edits []Edit
	for _, h := range headers {
		if n := len(edits); n > 0 && edits[n-1].Name == h.Name {
			edits[n-1].Values = append(edits[n-1].Values, h.Value)
			continue
		}
		edits = append(edits, Edit{h.Name, []string{h.Value}})
	}
	return edits
}

// A writer writes the keys of one section.
type writer struct {
	b      *strings.Builder
	indent string
	first  bool // the next key stands behind a dash
}

func (w *writer) key(name string) {
	if !w.first {
		w.b.WriteString(w.indent)
	}
	w.first = false
	w.b.WriteString(plain(name) + ":")
}

func (w *writer) line(name, value string) {
	w.key(name)
	w.b.WriteString(" " + value + "\n")
}

func (w *writer) text(name, value string) {
	if value != "" {
		w.line(name, plain(value))
	}
}

func (w *writer) maybe(name string, value *string) {
	if value != nil {
		w.line(name, plain(*value))
	}
}

func (w *writer) list(name string, values []string) {
	if len(values) > 0 {
		w.line(name, flow(values))
	}
}

func (w *writer) section(name string) *writer {
	w.key(name)
	w.b.WriteByte('\n')
	return &writer{b: w.b, indent: w.indent + "  "}
}

func (w *writer) headers(name string, edits []Edit) {
	if len(edits) == 0 {
		return
	}
	inner := w.section(name)
	for _, e := range edits {
		switch {
		case e.Values == nil:
			inner.line(e.Name, "null")
		case len(e.Values) == 1:
			inner.line(e.Name, plain(e.Values[0]))
		default:
			inner.line(e.Name, flow(e.Values))
		}
	}
}

func (w *writer) variables(name string, values map[string]string) {
	if len(values) == 0 {
		w.line(name, "{}")
		return
	}
	inner := w.section(name)
	for _, key := range slices.Sorted(maps.Keys(values)) {
		inner.line(key, plain(values[key]))
	}
}

func flow(values []string) string {
	shown := make([]string, len(values))
	for i, v := range values {
		shown[i] = plain(v)
	}
	return "[" + strings.Join(shown, ", ") + "]"
}

// plainText is what needs no quotes wherever it stands, and is text to every
// reader of YAML.
var plainText = regexp.MustCompile(`^[A-Za-z/][A-Za-z0-9/_.=?&;+-]*( [A-Za-z0-9/_.=?&;+-]+)*$`)

// plain writes a text plainly where that is safe, else as JSON does.
func plain(s string) string {
	switch strings.ToLower(s) {
	case "true", "false", "null", "yes", "no", "on", "off", "y", "n":
	default:
		if plainText.MatchString(s) {
			return s
		}
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(s); err != nil {
		panic(err) // a string always has a form
	}
	return strings.TrimSuffix(b.String(), "\n")
}
