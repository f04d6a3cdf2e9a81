package cases

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"outrider/scripting"
)

// A Failure is one thing that is not as it was expected.
type Failure struct {
	What     string `json:"what"` // as the key under expect is called
	Expected string `json:"expected"`
	Got      string `json:"got"`
}

// check compares a decision with what was expected.
func (e *Expectation) check(d scripting.Decision) []Failure {
	if d.Outcome.Failed() && e.Outcome == "" {
		return []Failure{{"outcome", "a script that does not fail", outcomeOf(d)}}
	}
	var c checks
	if e.Outcome != "" && e.Outcome != d.Outcome.String() {
		c.add("outcome", e.Outcome, outcomeOf(d))
	}
	if e.Cluster != nil && !slices.Contains(e.Cluster, d.Cluster) {
		c.add("cluster", anyCluster(e.Cluster), targetOf(d))
	}
	c.text("rule", e.Rule, d.Rule)
	if e.Respond != nil {
		c.answer(e.Respond, d)
	}
	c.edits("requestHeaders", e.RequestHeaders, d.RequestHeaders)
	c.edits("responseHeaders", e.ResponseHeaders, d.ResponseHeaders)
	c.text("path", e.Path, d.Path)
	c.text("hashKey", e.HashKey, d.HashKey)
	if e.Timeout != nil && *e.Timeout != d.Timeout {
		c.add("timeout", e.Timeout.String(), d.Timeout.String())
	}
	return c
}

type checks []Failure

func (c *checks) add(what, expected, got string) {
	*c = append(*c, Failure{what, expected, got})
}

func (c *checks) text(what string, expected *string, got string) {
	if expected == nil || *expected == got {
		return
	}
	shownExpected, shownGot := around(*expected, got)
	c.add(what, shownExpected, shownGot)
}

// edits looks for each of the expected edits.
func (c *checks) edits(what string, expected []Edit, got []scripting.HeaderEdit) {
	for _, want := range expected {
		shown := "left alone"
		i := slices.IndexFunc(got, func(e scripting.HeaderEdit) bool { return strings.EqualFold(e.Name, want.Name) })
		if i >= 0 {
			shown = valuesOf(got[i].Values, "removed")
		}
		if wanted := valuesOf(want.Values, "removed"); wanted != shown {
			c.add(what+"."+want.Name, wanted, shown)
		}
	}
}

func (c *checks) answer(a *Answer, d scripting.Decision) {
	if d.Respond == nil {
		c.add("respond", "an answer"+statusOf(a.Status), targetOf(d))
		return
	}
	if a.Status != 0 && a.Status != d.Respond.Status {
		c.add("respond.status", strconv.Itoa(a.Status), strconv.Itoa(d.Respond.Status))
	}
	for _, want := range a.Headers {
		var got []string
		for _, f := range d.Respond.Header {
			if strings.EqualFold(f[0], want.Name) {
				got = append(got, f[1])
			}
		}
		if !slices.Equal(want.Values, got) {
			c.add("respond.headers."+want.Name, valuesOf(want.Values, "not there"), valuesOf(got, "not there"))
		}
	}
	c.text("respond.body", a.Body, d.Respond.Body)
}

func statusOf(status int) string {
	if status == 0 {
		return ""
	}
	return " " + strconv.Itoa(status)
}

func anyCluster(names []string) string {
	shown := make([]string, len(names))
	for i, name := range names {
		if shown[i] = name; name == "" {
			shown[i] = "none"
		}
	}
	return strings.Join(shown, " or ")
}

// targetOf is where a decision leads, in words.
func targetOf(d scripting.Decision) string {
	switch {
	case d.Respond != nil:
		return "an answer " + strconv.Itoa(d.Respond.Status)
	case d.Cluster != "":
		return d.Cluster
	}
	return "none"
}

// outcomeOf is how a decision came about, and what went wrong.
func outcomeOf(d scripting.Decision) string {
	if d.Err == nil {
		return d.Outcome.String()
	}
	return fmt.Sprintf("%s: %v", d.Outcome, d.Err)
}

func valuesOf(values []string, none string) string {
	if values == nil {
		return none
	}
	shown := make([]string, len(values))
	for i, v := range values {
		shown[i] = strconv.Quote(v)
	}
	return strings.Join(shown, " and ")
}

// around shows two texts, long ones from shortly before the place where they part.
func around(expected, got string) (shownExpected, shownGot string) {
	const before, most = 20, 100
	from := 0
	for from < min(len(expected), len(got)) && expected[from] == got[from] {
		from++
	}
	from = max(0, from-before)
	cut := func(s string) string {
		lead, tail := "", ""
		if from > 0 && max(len(expected), len(got)) > most {
			s, lead = s[from:], "..."
		}
		if len(s) > most {
			s, tail = s[:most], "..."
		}
		return lead + strconv.Quote(strings.ToValidUTF8(s, "")) + tail
	}
	return cut(expected), cut(got)
}

// compare tells how the decision of a used runtime differs from a fresh one's.
func compare(fresh, used scripting.Decision) []Failure {
	was, is := describe(fresh), describe(used)
	if was == is {
		return nil
	}
	return []Failure{{"used runtime", was, is + " after the cases before: a variable outside of route keeps something of them"}}
}

// describe is a whole decision in one line.
func describe(d scripting.Decision) string {
	words := []string{targetOf(d)}
	if d.Outcome != scripting.OK {
		words = append(words, outcomeOf(d))
	}
	if d.Rule != "" {
		words = append(words, "rule "+d.Rule)
	}
	words = append(words, forwardOf(d)...)
	if d.Respond != nil {
		for _, f := range d.Respond.Header {
			words = append(words, fmt.Sprintf("%s: %s", f[0], f[1]))
		}
		words = append(words, strconv.Quote(d.Respond.Body))
	}
	return strings.Join(words, ", ")
}

// forwardOf is what a decision does to the request on its way, in words.
func forwardOf(d scripting.Decision) []string {
	var words []string
	for what, edits := range map[string][]scripting.HeaderEdit{"request": d.RequestHeaders, "response": d.ResponseHeaders} {
		for _, e := range edits {
			words = append(words, fmt.Sprintf("%s header %s %s", what, e.Name, valuesOf(e.Values, "removed")))
		}
	}
	slices.Sort(words)
	if d.Path != "" {
		words = append(words, "path "+d.Path)
	}
	if d.HashKey != "" {
		words = append(words, "hashKey "+d.HashKey)
	}
	if d.Timeout != 0 {
		words = append(words, "timeout "+d.Timeout.String())
	}
	return words
}
