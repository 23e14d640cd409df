// SPDX-License-Identifier: Apache-2.0

package offer

import "strings"

// suggest returns "did you mean …?" for the nearest of the known words.
func suggest(got string, known []string) string {
	if word := Meant(got, known); word != "" {
		return "did you mean " + word + "?"
	}
	return ""
}

// Meant is the known word that was probably meant: at most two typing slips
// away, one from a short word, without regard to case. Empty: none is near.
func Meant(got string, known []string) string {
	if got == "" || len(got) > MaxText {
		return ""
	}
	best, slips := "", 3
	if len(got) <= 4 {
		slips = 2
	}
	for _, k := range known {
		if d := distance(strings.ToLower(got), strings.ToLower(k)); d < slips {
			best, slips = k, d
		}
	}
	return best
}

// distance is the number of insertions, deletions and replacements between two
// words (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(diagonal+cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
