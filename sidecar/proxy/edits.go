package proxy

import "strings"

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
