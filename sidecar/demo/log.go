package demo

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/sirupsen/logrus"
)

// newLog is a sidecar's log as lines for the terminal.
func newLog(of *stage, sidecar string) *logrus.Logger {
	log := logrus.New()
	log.SetOutput(of.out)
	log.SetFormatter(lines{console: of.out, names: of.names(), sidecar: sidecar, witness: of.witness})
	return log
}

// lines write log entries below the requests: what it is about, then the message,
// then of the fields what a newcomer wants to know.
type lines struct {
	console *console
	names   map[string]string // of the sample backends, by address
	sidecar string
	witness *witness
}

// Format implements logrus.Formatter.
func (l lines) Format(e *logrus.Entry) ([]byte, error) {
	_, where := e.Data["address"]
	if where || e.Level == logrus.InfoLevel && strings.HasPrefix(e.Message, "gossip: ") {
		return nil, nil // the introduction has told where we listen, and that there are peers
	}
	topic, message := l.about(e)
	var line bytes.Buffer
	fmt.Fprintf(&line, "%s %s %s %s", e.Time.Format(clock), l.sidecar, l.console.paint(colour(e.Level), fmt.Sprintf("%-6s", topic)), message)
	for _, key := range []string{"cause", logrus.ErrorKey} {
		if v, ok := e.Data[key]; ok {
			fmt.Fprintf(&line, ": %v", v)
		}
	}
	line.WriteByte('\n')
	return line.Bytes(), nil
}

func (l lines) about(e *logrus.Entry) (topic, message string) {
	address, ofBackend := e.Data["backend"].(string)
	_, ofScript := e.Data["script"]
	switch {
	case ofBackend && e.Data["usable"] != nil:
		return "health", l.health(e, address)
	case ofScript:
		return "script", strings.TrimPrefix(e.Message, "script ")
	case e.Level == logrus.InfoLevel:
		return "--", e.Message
	}
	return e.Level.String(), e.Message
}

// health is the line of an incident, with the sample backend's name and what is
// left of its cluster.
func (l lines) health(e *logrus.Entry, address string) string {
	named := strings.Replace(e.Message, address, l.names[address]+" "+address, 1)
	if strings.Contains(e.Message, " out: ") || strings.Contains(e.Message, " suspect: ") {
		named += l.witness.turned(l.sidecar, address, e.Time)
	}
	var line strings.Builder
	fmt.Fprintf(&line, "%s  (cluster %v: %v of %v usable", named, e.Data["cluster"], e.Data["usable"], e.Data["total"])
	for _, cost := range []struct{ key, one, more string }{
		{"retried", "request retried", "requests retried"},
		{"client_errors", "client saw an error", "clients saw an error"},
	} {
		if n, _ := e.Data[cost.key].(uint64); n > 0 {
			line.WriteString("; " + count(n, cost.one, cost.more))
		}
	}
	return line.String() + ")"
}

func colour(l logrus.Level) string {
	switch l {
	case logrus.InfoLevel:
		return green
	case logrus.WarnLevel:
		return yellow
	case logrus.DebugLevel, logrus.TraceLevel:
		return grey
	}
	return red
}
