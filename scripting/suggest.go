package scripting

import (
	"fmt"
	"slices"
	"strings"
)

// DidYouMean renders `; did you mean "one"?` for the known name nearest to a wrong
// one, or nothing where none is near. It begins with a semicolon to end a sentence.
func DidYouMean(wrong string, known []string) string { return didYouMean(wrong, known) }

// didYouMean renders `; did you mean "one"?` for the known name nearest to a
// wrong one, or nothing where none is near.
func didYouMean(wrong string, known []string) string {
	best, distance := "", max(1, len(wrong)/3)+1
	for _, name := range slices.Sorted(slices.Values(known)) {
		if d := editDistance(strings.ToLower(wrong), strings.ToLower(name)); d < distance && d < len(name) {
			best, distance = name, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// editDistance counts the inserted, removed, replaced and swapped bytes (optimal
// string alignment). Only short names are worth comparing.
func editDistance(a, b string) int {
	if len(a) > maxName || len(b) > maxName {
		return maxName
	}
	var rows [maxName + 1][maxName + 1]int
	for i := range len(a) + 1 {
		rows[i][0] = i
	}
	for j := range len(b) + 1 {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			replace := rows[i-1][j-1]
			if a[i-1] != b[j-1] {
				replace++
			}
			rows[i][j] = min(replace, rows[i-1][j]+1, rows[i][j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}

// maxName is how much of a name that a script made up is kept or shown, in bytes.
const maxName = 64

// shorten cuts a text for the log, at a character's boundary.
func shorten(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}
