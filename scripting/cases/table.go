package cases

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// A Row is one case of a table: a request, what surrounds it, and what is to be
// decided on it.
type Row struct {
	At     Position // of the row; zero when it was not read from a file
	Name   string   // "" = the request's line
	Sketch Sketch
	Down   []string          // clusters, and backends as cluster/host:port
	Data   json.RawMessage   // ctx.data; nil = what the script has in production
	Env    map[string]string // ctx.env; nil = what the script has in production
	Now    time.Time         // ctx.now; zero = the present
	Seed   uint64            // of Math.random; 0 = 1
	Expect Expectation

	request *Request // of the sketch, once it was read
	downAt  []ast.Node
}

// Title is what the case is called.
func (row *Row) Title() string { return cmp.Or(row.Name, row.Sketch.Line) }

// An Expectation is what is to be decided. What it does not speak of is not
// looked at, with one exception: a script that fails never meets an expectation
// without an outcome.
type Expectation struct {
	Cluster         []string // any of these; "" = none
	Rule            *string
	Respond         *Answer
	RequestHeaders  []Edit // each of these; there may be others
	ResponseHeaders []Edit
	Path            *string        // "" = as received
	HashKey         *string        // "" = none
	Timeout         *time.Duration // 0 = the cluster's
	Outcome         string
}

// An Answer is what a script is to answer by itself.
type Answer struct {
	Status  int    // 0 = any
	Headers []Edit // each of these; there may be others
	Body    *string
}

// An Edit is what is to happen to one header: it is set to Values, one field for
// each; nil: it is removed, or, in an [Answer], not there.
type Edit struct {
	Name   string
	Values []string
}

// A table is a file of cases that was read.
type table struct {
	*text
	rows []Row
}

// ReadTable reads a table of cases. The error is a [Faults] with everything that
// is wrong with it. Whether the clusters exist is not looked at.
func ReadTable(name string, content []byte) ([]Row, error) {
	t := readTable(name, content)
	return t.rows, t.err()
}

func readTable(name string, content []byte) *table {
	t := &table{text: newText(name, content)}
	body := t.parse(content)
	if isNull(body) {
		return t
	}
	list, ok := body.(*ast.SequenceNode)
	if !ok {
		t.add(body, "a table is a list of cases, this is %s; begin each case with: - request: GET /", kindOf(body))
		return t
	}
	for _, item := range list.Values {
		if m, ok := item.(*ast.MappingNode); ok {
			t.rows = append(t.rows, t.row(m))
			continue
		}
		t.add(item, "a case is a section, such as { request: GET /, expect: one }, not %s", kindOf(item))
	}
	return t
}

// row reads one case and completes its request.
func (t *text) row(m *ast.MappingNode) Row {
	row := Row{At: t.start(m)}
	before := len(t.faults)
	t.section("a case", m, rowKeys(&row))
	if len(t.faults) > before {
		return row
	}
	request, err := NewRequest(row.Sketch)
	if err != nil {
		t.add(m, "%v", err)
	}
	row.request = request
	return row
}

// err are the faults in the order of the file, or nil.
func (t *text) err() error {
	if len(t.faults) == 0 {
		return nil
	}
	slices.SortStableFunc(t.faults, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.At.Line, b.At.Line), cmp.Compare(a.At.Column, b.At.Column))
	})
	return t.faults
}
