package document

import (
	"slices"
	"strings"
)

// Suggest returns a hint for a word that is not among those known: `did you mean "x"?` for the nearest one, the whole
// list when it is short, or nothing.
func Suggest(word string, known []string) string {
	if near, ok := Nearest(word, known); ok {
		return `did you mean "` + near + `"?`
	}
	const few = 12
	if len(known) == 0 || len(known) > few {
		return ""
	}
	return "known here: " + strings.Join(slices.Sorted(slices.Values(known)), ", ")
}

// Nearest finds the known word that was probably meant: at most a third of its letters differ, capitals do not count.
func Nearest(word string, known []string) (string, bool) {
	best, bestDistance := "", 1<<30
	if len(word) > 64 { // no word of ours is as long, and the distance takes time
		return "", false
	}
	lower := []rune(strings.ToLower(word))
	for _, k := range known {
		limit := min(bestDistance, max(1, (len(k)+1)/3))
		if len(k)-len(word) > 4*limit || len(word)-len(k) > 4*limit { // a letter has four bytes at most
			continue
		}
		d := distance(lower, []rune(strings.ToLower(k)), limit)
		if d <= limit && (d < bestDistance || k < best) {
			best, bestDistance = k, d
		}
	}
	return best, best != "" && best != word
}

// distance counts the letters to insert, delete, replace or swap with their neighbour to turn x into y. It gives up once
// there are more than limit.
func distance(x, y []rune, limit int) int {
	if len(x)-len(y) > limit || len(y)-len(x) > limit {
		return limit + 1
	}
	before, last, row := make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(x); i++ {
		row[0] = i
		least := i
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
			least = min(least, row[j])
		}
		if least > limit+1 { // a swap may still save one
			return limit + 1
		}
		before, last, row = last, row, before
	}
	return last[len(y)]
}
