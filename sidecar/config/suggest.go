package config

import (
	"fmt"
	"strings"
)

// didYouMean is `; did you mean "x"?` for the nearest candidate, or "" when none is near.
func didYouMean(word string, candidates []string) string {
	if best := nearest(word, candidates); best != "" {
		return fmt.Sprintf("; did you mean %q?", best)
	}
	return ""
}

// nearest is the candidate with the fewest typing errors, at most one for each three letters (but one is always allowed).
func nearest(word string, candidates []string) string {
	const longest = 64
	if len(word) > longest {
		return ""
	}
	best, fewest := "", max(1, len(word)/3)+1
	for _, c := range candidates {
		if d := distance(fold(word), fold(c)); d < fewest && d < len(c) {
			best, fewest = c, d
		}
	}
	if best == "" {
		return longer(word, candidates)
	}
	return best
}

// longer is the first candidate that begins the word or begins with it: warning and warn.
func longer(word string, candidates []string) string {
	const enough = 3
	for _, c := range candidates {
		if min(len(word), len(c)) >= enough && (strings.HasPrefix(word, c) || strings.HasPrefix(c, word)) {
			return c
		}
	}
	return ""
}

// fold makes keys comparable however their words are joined.
func fold(s string) string {
	return strings.ToLower(strings.ReplaceAll(s, "-", "_"))
}

// distance is the Damerau-Levenshtein distance (optimal string alignment): insertions, deletions, replacements and swaps of neighbours.
func distance(a, b string) int {
	older, old, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		old[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(old[j]+1, row[j-1]+1, old[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], older[j-2]+1)
			}
		}
		older, old, row = old, row, older
	}
	return old[len(b)]
}
