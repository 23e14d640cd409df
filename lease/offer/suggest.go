// SPDX-License-Identifier: Apache-2.0

package offer

import "strings"

// suggest returns "did you mean …?" for the nearest of the known words, if it
// is at most two typing slips away (one in a short word).
func suggest(got string, known []string) string {
	if got == "" || len(got) > MaxText {
		return ""
	}
	best, slips := "", 3
	if len(got) <= 4 {
		slips = 2
	}
	for _, k := range known {
		if d := distance(strings.ToLower(got), k); d < slips {
			best, slips = k, d
		}
	}
	if best == "" {
		return ""
	}
	return "did you mean " + best + "?"
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
