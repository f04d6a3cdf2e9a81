package main

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// behaviour is how the app treats those who connect. The zero value behaves well.
type behaviour struct {
	Delay     time.Duration `json:"delay"`      // before an answer begins
	Status    int           `json:"status"`     // of every answer; 0 = 200
	Reset     int           `json:"reset"`      // every so manieth connection is reset; 0 = none
	CloseIdle bool          `json:"close_idle"` // a connection is closed as soon as it rests, without a word
	Hang      bool          `json:"hang"`       // accepts, reads, and never answers
	Refuse    bool          `json:"refuse"`     // does not listen
	Spare     string        `json:"spare"`      // a path that is answered well and at once all the same
}

// parseBehaviour reads what is written as a query, like delay=300ms&reset=3. What
// is not written is well.
func parseBehaviour(query url.Values) (behaviour, error) {
	var b behaviour
	words := map[string]func(string) error{
		"delay":      func(v string) (err error) { b.Delay, err = time.ParseDuration(v); return err },
		"status":     func(v string) (err error) { b.Status, err = parseStatus(v); return err },
		"reset":      func(v string) (err error) { b.Reset, err = parseNth(v); return err },
		"close_idle": func(v string) (err error) { b.CloseIdle, err = strconv.ParseBool(v); return err },
		"hang":       func(v string) (err error) { b.Hang, err = strconv.ParseBool(v); return err },
		"refuse":     func(v string) (err error) { b.Refuse, err = strconv.ParseBool(v); return err },
		"spare":      func(v string) error { b.Spare = v; return nil },
	}
	for word, values := range query {
		read, known := words[word]
		if !known {
			return behaviour{}, fmt.Errorf("%q is nothing to do: try %s", word, strings.Join(sortedKeys(words), ", "))
		}
		if err := read(values[0]); err != nil {
			return behaviour{}, fmt.Errorf("%s: %w", word, err)
		}
	}
	return b, nil
}

func parseStatus(text string) (int, error) {
	status, err := strconv.Atoi(text)
	if err != nil || status < 200 || status > 599 {
		return 0, fmt.Errorf("%q is no status of an answer: 200 to 599", text)
	}
	return status, nil
}

func parseNth(text string) (int, error) {
	nth, err := strconv.Atoi(text)
	if err != nil || nth < 0 {
		return 0, fmt.Errorf("%q is no number of connections", text)
	}
	return nth, nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
