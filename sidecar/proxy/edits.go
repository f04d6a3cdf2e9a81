package proxy

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"outrider/sidecar/http1"
)

// checkDecision refuses what can not be written into a message.
func checkDecision(d *Decision) error {
	if d.RequestHeaders == nil && d.ResponseHeaders == nil && d.Path == "" {
		return nil
	}
	err := errors.Join(checkEdits(d.RequestHeaders), checkEdits(d.ResponseHeaders), checkTarget(d.Path))
	if err == nil {
		return nil
	}
	return &Fault{
		Status: http.StatusInternalServerError, Type: "proxy_configuration_error",
		Detail: "the routing script decided on what can not be sent", Err: err,
	}
}

// checkEdits looks at what a router wants to write into a message once more: whatever
// the router is, nothing of it may break one.
func checkEdits(edits []HeaderEdit) error {
	for i := range edits {
		name := edits[i].Name
		switch {
		case !http1.IsToken(name):
			return fmt.Errorf("field name %q is not a token", name)
		case http1.HopByHop(name) || strings.EqualFold(name, "Via"):
			return fmt.Errorf("field %s belongs to the connection", name)
		}
		for _, value := range edits[i].Values {
			if !http1.IsValue(value) {
				return fmt.Errorf("value of field %s has a control character", name)
			}
		}
	}
	return nil
}

// checkTarget looks at a path that a router wants to ask for.
func checkTarget(path string) error {
	if path == "" {
		return nil
	}
	for i := range len(path) {
		if c := path[i]; c <= ' ' || c >= 0x7f || c == '#' {
			return fmt.Errorf("path has the character %q", c)
		}
	}
	if path[0] != '/' {
		return errors.New("path does not begin with a slash")
	}
	return nil
}

// edited tells whether the edits say something of a field.
func edited(edits []HeaderEdit, name string) bool {
	for i := range edits {
		if strings.EqualFold(edits[i].Name, name) {
			return true
		}
	}
	return false
}

// editOf is the value that a field is set to.
func editOf(edits []HeaderEdit, name string) string {
	for i := range edits {
		if strings.EqualFold(edits[i].Name, name) && len(edits[i].Values) > 0 {
			return edits[i].Values[0]
		}
	}
	return ""
}

// replaced tells whether a field that came does not go on because of an edit. What
// backends set as cookies does: an edit adds to that, unless it removes all.
func replaced(edits []HeaderEdit, name []byte) bool {
	for i := range edits {
		if equalFold(name, edits[i].Name) {
			return edits[i].Values == nil || !equalFold(name, setCookie)
		}
	}
	return false
}

const setCookie = "Set-Cookie"

// appendEdits appends the fields that are set. Host stands at its own place.
func appendEdits(dst []byte, edits []HeaderEdit) []byte {
	for i := range edits {
		if strings.EqualFold(edits[i].Name, "Host") {
			continue
		}
		for _, value := range edits[i].Values {
			dst = append(dst, edits[i].Name...)
			dst = append(dst, ": "...)
			dst = append(dst, value...)
			dst = append(dst, "\r\n"...)
		}
	}
	return dst
}
