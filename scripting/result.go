package scripting

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/dop251/goja"
)

// decide reads what route returned. Getters and proxies of the script may run.
func (rt *runtime) decide(value goja.Value) Decision {
	if name, ok := value.(goja.String); ok {
		return rt.toCluster(name.String())
	}
	if value == nil || goja.IsUndefined(value) || goja.IsNull(value) {
		return rt.script.toDefault()
	}
	object, ok := value.(*goja.Object)
	if !ok {
		return rt.badReturn("route returned %s", kindOf(value))
	}
	if object.ClassName() == "Object" {
		if object.ExportType() == reflect.TypeFor[*goja.Promise]() {
			return rt.badReturn("route returned a Promise: it must answer at once, without async or await")
		}
		keys := object.Keys()
		if isWeights(object, keys, false) {
			return rt.toSplit(object, keys, "")
		}
		return rt.toDecision(object, keys)
	}
	return rt.toTarget(value, "")
}

func (s *Script) toDefault() Decision {
	if s.options.DefaultCluster == "" {
		return Decision{Outcome: NoRoute}
	}
	return Decision{Cluster: s.options.DefaultCluster, Outcome: Default}
}

func (rt *runtime) toCluster(name string) Decision {
	if name == "" {
		return rt.badReturn("route returned an empty string")
	}
	if _, _, ok := rt.health(name); !ok {
		return rt.script.unknownCluster(name)
	}
	return Decision{Cluster: name, Outcome: OK}
}

// unknownCluster logs each name once per minute.
func (s *Script) unknownCluster(name string) Decision {
	err := fmt.Errorf("%s: there is no cluster %q%s", s.source.name, shorten(name, maxName), didYouMean(name, s.options.Clusters.Names()))
	if s.notices.due("cluster "+name, time.Now()) {
		s.log.WithField("cluster", shorten(name, maxName)).Warn(err.Error())
	}
	return s.fail(UnknownCluster, err)
}

// badReturn says what a decision is not.
func (rt *runtime) badReturn(format string, args ...any) Decision {
	return rt.script.fail(BadReturn, fmt.Errorf("%s: %w", rt.script.source.name, fmt.Errorf(format, args...)))
}

// Keys of a returned object.
//
//nolint:gochecknoglobals // immutable tables
var (
	decisionKeys = []string{"cluster", "rule", "requestHeaders", "responseHeaders", "path", "hashKey", "timeout", "respond"}
	respondKeys  = []string{"status", "headers", "body"}
)

// unknownKey says of a key of a returned object that no decision has it.
func unknownKey(key string) string {
	if hint := didYouMean(key, decisionKeys); hint != "" {
		return fmt.Sprintf("the unknown key %q%s", shorten(key, maxName), hint)
	}
	return fmt.Sprintf("the unknown key %q; there are %s", shorten(key, maxName), strings.Join(decisionKeys, ", "))
}

func (rt *runtime) toDecision(object *goja.Object, keys []string) Decision {
	for _, key := range keys {
		if !slices.Contains(decisionKeys, key) {
			return rt.badReturn("route returned an object with %s", unknownKey(key))
		}
	}
	rule, err := ruleOf(object.Get("rule"))
	if err != nil {
		return rt.badReturn("%w", err)
	}
	cluster, respond := object.Get("cluster"), object.Get("respond")
	switch {
	case isNothing(cluster) && isNothing(respond):
		return rt.badReturn("route returned an object with neither cluster nor respond")
	case !isNothing(cluster) && !isNothing(respond):
		return rt.badReturn("route returned an object with both cluster and respond")
	}
	var decision Decision
	if isNothing(cluster) {
		decision = rt.toRespond(object, respond)
	} else {
		decision = rt.toForward(object, cluster)
	}
	decision.Rule = rule
	return decision
}

// toForward reads an object that names a cluster.
func (rt *runtime) toForward(object *goja.Object, cluster goja.Value) Decision {
	edits, err := readForward(object)
	if err != nil {
		return rt.badReturn("%w", err)
	}
	target := rt.toTarget(cluster, edits.HashKey)
	if target.Outcome.Failed() {
		return target
	}
	edits.Cluster, edits.Outcome = target.Cluster, target.Outcome
	return edits
}

func ruleOf(value goja.Value) (string, error) {
	if isNothing(value) {
		return "", nil
	}
	rule, ok := value.(goja.String)
	if !ok {
		return "", fmt.Errorf("route returned an object whose rule is %s, it takes a string", kindOf(value))
	}
	return shorten(oneLine(rule.String()), MaxRule-len("...")), nil
}

func (rt *runtime) toRespond(object *goja.Object, value goja.Value) Decision {
	for _, key := range object.Keys() {
		if key != "respond" && key != "rule" && !isNothing(object.Get(key)) {
			return rt.badReturn("route returned an object with respond and %s, which goes with a cluster", key)
		}
	}
	respond, err := readRespond(value)
	if err != nil {
		return rt.badReturn("%w", err)
	}
	return Decision{Respond: respond, Outcome: Responded}
}

func readRespond(value goja.Value) (*Respond, error) {
	object, ok := value.(*goja.Object)
	if !ok || object.ClassName() != "Object" {
		return nil, fmt.Errorf("respond is %s, it takes { status, headers, body }", kindOf(value))
	}
	for _, key := range object.Keys() {
		if !slices.Contains(respondKeys, key) {
			return nil, fmt.Errorf("respond has the unknown key %q%s", shorten(key, maxName), didYouMean(key, respondKeys))
		}
	}
	status, err := readStatus(object.Get("status"))
	if err != nil {
		return nil, err
	}
	header, err := readHeader(object.Get("headers"))
	if err != nil {
		return nil, err
	}
	body, err := readBody(object.Get("body"))
	if err != nil {
		return nil, err
	}
	return &Respond{Status: status, Header: header, Body: body}, nil
}

func readStatus(value goja.Value) (int, error) {
	if value == nil || !goja.IsNumber(value) {
		return 0, fmt.Errorf("respond.status is %s, it takes a number from 200 to 599", kindOf(value))
	}
	status := value.ToFloat()
	if status != float64(int(status)) || status < 200 || status > 599 {
		return 0, fmt.Errorf("respond.status is %v, it takes a whole number from 200 to 599", status)
	}
	return int(status), nil
}

func readBody(value goja.Value) (string, error) {
	if isNothing(value) {
		return "", nil
	}
	text, ok := value.(goja.String)
	if !ok {
		return "", fmt.Errorf("respond.body is %s, it takes a string (JSON.stringify makes one)", kindOf(value))
	}
	body := text.String()
	if len(body) > MaxBody {
		return "", fmt.Errorf("respond.body has %d bytes, the most is %d", len(body), MaxBody)
	}
	return body, nil
}

func readHeader(value goja.Value) ([][2]string, error) {
	if isNothing(value) {
		return nil, nil
	}
	object, ok := value.(*goja.Object)
	if !ok || object.ClassName() != "Object" {
		return nil, fmt.Errorf("respond.headers is %s, it takes an object of strings", kindOf(value))
	}
	var header [][2]string
	for _, name := range object.Keys() {
		text, ok := object.Get(name).(goja.String)
		if !ok {
			return nil, fmt.Errorf("respond.headers has %s for %q, it takes a string", kindOf(object.Get(name)), shorten(name, maxName))
		}
		if err := checkHeader(name, text.String()); err != nil {
			return nil, fmt.Errorf("respond.headers %w", err)
		}
		header = append(header, [2]string{name, text.String()})
	}
	return header, nil
}

func isTokenChar(c rune) bool {
	return c < 0x80 && (isAlphanumeric(byte(c)) || strings.ContainsRune("!#$%&'*+-.^_`|~", c))
}

func isNothing(value goja.Value) bool {
	return value == nil || goja.IsUndefined(value) || goja.IsNull(value)
}

// kindOf names a value for a message, without running the script's code.
func kindOf(value goja.Value) string {
	switch v := value.(type) {
	case nil:
		return "undefined"
	case goja.String:
		return fmt.Sprintf("the string %q", shorten(v.String(), maxName))
	case *goja.Symbol:
		return "a symbol"
	case *goja.Object:
		return map[bool]string{true: "an ", false: "a "}[strings.ContainsAny(v.ClassName()[:1], "AEIOU")] + strings.ToLower(v.ClassName())
	}
	switch {
	case goja.IsUndefined(value) || goja.IsNull(value):
		return value.String()
	case goja.IsNumber(value):
		return "the number " + value.String()
	}
	return "the " + value.ExportType().String() + "ean " + value.String()
}
