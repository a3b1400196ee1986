package spec

import (
	"slices"
	"strings"
)

// suggest is "did you mean …?" if one of the names is close to what was written, else the list of what there is.
func suggest(found string, names []string) string {
	if near := nearest(found, names); near != "" {
		return "did you mean " + near + "?"
	}
	if len(names) == 0 {
		return ""
	}
	listed := slices.Clone(names)
	const most = 20
	if len(listed) > most {
		listed = append(listed[:most], "…")
	}
	return "known here: " + strings.Join(listed, ", ")
}

// Nearest is the name that was probably meant; empty: none is close.
func Nearest(found string, names []string) string {
	return nearest(found, slices.Sorted(slices.Values(names)))
}

// nearest is the name with the smallest edit distance, if it is small for the length of what was written.
func nearest(found string, names []string) string {
	if len(found) > 60 {
		return ""
	}
	best, distance := "", max(1, len(found)/3)+1
	folded := strings.ToLower(found)
	for _, name := range names {
		if d := editDistance(folded, strings.ToLower(name)); d < distance {
			best, distance = name, d
		}
	}
	return best
}

// editDistance counts insertions, deletions, replacements and swaps of neighbours.
func editDistance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
