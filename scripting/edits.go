package scripting

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dop251/goja"
)

// readForward reads what an object says beside the cluster.
func readForward(object *goja.Object) (d Decision, err error) {
	if d.RequestHeaders, err = readEdits("requestHeaders", object.Get("requestHeaders"), false); err != nil {
		return d, err
	}
	if d.ResponseHeaders, err = readEdits("responseHeaders", object.Get("responseHeaders"), true); err != nil {
		return d, err
	}
	if d.Path, err = readPath(object.Get("path")); err != nil {
		return d, err
	}
	if d.HashKey, err = readText("hashKey", object.Get("hashKey")); err != nil {
		return d, err
	}
	d.Timeout, err = readTimeout(object.Get("timeout"))
	return d, err
}

// readEdits reads an object of headers to set, or to remove (null).
func readEdits(key string, value goja.Value, lists bool) ([]HeaderEdit, error) {
	if isNothing(value) {
		return nil, nil
	}
	object, ok := value.(*goja.Object)
	if !ok || object.ClassName() != "Object" {
		return nil, fmt.Errorf("%s is %s, it takes an object such as { 'X-Name': 'value', 'X-Gone': null }", key, kindOf(value))
	}
	var edits []HeaderEdit
	size := 0
	for _, name := range object.Keys() {
		edit, err := readEdit(name, object.Get(name), lists)
		if err != nil {
			return nil, fmt.Errorf("%s %w", key, err)
		}
		size += len(name)
		for _, v := range edit.Values {
			size += len(v)
		}
		edits = append(edits, edit)
	}
	if size > MaxEdit {
		return nil, fmt.Errorf("%s has %d bytes, the most is %d", key, size, MaxEdit)
	}
	return edits, nil
}

func readEdit(name string, value goja.Value, lists bool) (HeaderEdit, error) {
	edit := HeaderEdit{Name: name}
	var err error
	if !isNothing(value) {
		if edit.Values, err = readValues(name, value, lists); err != nil {
			return edit, err
		}
	} else if strings.EqualFold(name, "host") {
		return edit, errors.New("removes Host, which every request has")
	}
	for _, v := range append(edit.Values, "") {
		if err := checkHeader(name, v); err != nil {
			return edit, err
		}
	}
	if strings.EqualFold(name, "via") {
		return edit, errors.New("changes Via, by which loops are found")
	}
	if strings.EqualFold(name, "host") && strings.Trim(edit.Values[0], hostCharacters) != "" {
		return edit, fmt.Errorf("sets Host to %q, which is no host", shorten(edit.Values[0], maxName))
	}
	return edit, nil
}

// hostCharacters may be in a Host field: a name or an address, and a port.
const hostCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]"

func readValues(name string, value goja.Value, lists bool) ([]string, error) {
	if text, ok := value.(goja.String); ok {
		return []string{text.String()}, nil
	}
	list, ok := value.(*goja.Object)
	if !ok || !lists || list.ClassName() != "Array" {
		takes := "a string, or null"
		if lists {
			takes = "a string, a list of strings, or null"
		}
		return nil, fmt.Errorf("has %s for %q, it takes %s", kindOf(value), shorten(name, maxName), takes)
	}
	length := list.Get("length").ToInteger()
	if length == 0 || length > MaxList {
		return nil, fmt.Errorf("has a list of %d values for %q, it takes 1 to %d", length, shorten(name, maxName), MaxList)
	}
	values := make([]string, 0, length)
	for i := range int(length) {
		text, ok := list.Get(strconv.Itoa(i)).(goja.String)
		if !ok {
			return nil, fmt.Errorf("has %s in the list for %q, it takes strings", kindOf(list.Get(strconv.Itoa(i))), shorten(name, maxName))
		}
		values = append(values, text.String())
	}
	return values, nil
}

// checkHeader refuses what would break the message (RFC 9110 sections 5.1, 5.5)
// and the fields that frame it or belong to the connection (section 7.6.1).
func checkHeader(name, value string) error {
	if name == "" || strings.ContainsFunc(name, func(c rune) bool { return !isTokenChar(c) }) {
		return fmt.Errorf("has the name %q, which no header can have", shorten(name, maxName))
	}
	if strings.ContainsFunc(value, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }) {
		return fmt.Errorf("has a control character in the value of %q", shorten(name, maxName))
	}
	lower := strings.ToLower(name)
	if slices.Contains(connectionHeaders, lower) || strings.HasPrefix(lower, "proxy-") {
		return fmt.Errorf("sets %q, which belongs to the connection and not to the script", name)
	}
	return nil
}

//nolint:gochecknoglobals // immutable table
var connectionHeaders = []string{"content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "expect", "keep-alive", "http2-settings"}

// readPath reads a path that a request line can hold (RFC 9112 section 3.2.1).
func readPath(value goja.Value) (string, error) {
	path, err := readText("path", value)
	if err != nil || path == "" && isNothing(value) {
		return "", err
	}
	if !strings.HasPrefix(path, "/") {
		return "", fmt.Errorf("path is %q, it begins with a slash", shorten(path, maxName))
	}
	for i, c := range path {
		if c <= ' ' || c >= 0x7f || c == '#' {
			return "", fmt.Errorf("path has the character %q at %d; percent-encode it (encodeURIComponent)", c, i)
		}
	}
	return path, nil
}

func readText(key string, value goja.Value) (string, error) {
	if isNothing(value) {
		return "", nil
	}
	text, ok := value.(goja.String)
	if !ok {
		return "", fmt.Errorf("%s is %s, it takes a string", key, kindOf(value))
	}
	if s := text.String(); len(s) <= MaxEdit {
		return s, nil
	}
	return "", fmt.Errorf("%s is longer than %d bytes", key, MaxEdit)
}

// longestTimeout is the largest timeout that makes sense.
const longestTimeout = 24 * time.Hour

// readTimeout reads milliseconds, or a duration such as "2s".
func readTimeout(value goja.Value) (time.Duration, error) {
	if isNothing(value) {
		return 0, nil
	}
	var timeout time.Duration
	switch text, isText := value.(goja.String); {
	case isText:
		timeout, _ = time.ParseDuration(text.String())
	case goja.IsNumber(value):
		if ms := value.ToFloat(); ms <= float64(longestTimeout/time.Millisecond) {
			timeout = time.Duration(ms * float64(time.Millisecond))
		}
	}
	if timeout <= 0 || timeout > longestTimeout {
		return 0, fmt.Errorf("timeout is %s, it takes milliseconds, or a duration such as \"2s\", up to 24h", kindOf(value))
	}
	return max(timeout, time.Millisecond), nil
}
