// SPDX-License-Identifier: Apache-2.0

package offer

import (
	"slices"
	"strings"
)

// suggest returns "did you mean …?" for the nearest of the known words.
func suggest(got string, known []string) string {
	if word := Meant(got, known); word != "" {
		return "did you mean " + word + "?"
	}
	return ""
}

// also are names by which people know attributes from elsewhere.
var also = map[string]string{"mem": "memory", "ram": "memory", "cores": "cpu", "storage": "disk", "bandwidth": "egress.rate",
	"latency": "rtt", "ping": "rtt", "asn": "as", "hostname": "name", "os": "kernel"}

// suggestAttribute is suggest for the name of an attribute, which may have a part
// that the offer's node or its owner chose.
func suggestAttribute(got string) string {
	if name, ok := also[strings.ToLower(got)]; ok {
		return "did you mean " + name + "?"
	}
	if s := suggest(got, names()); s != "" {
		return s
	}
	head, rest, _ := strings.Cut(got, ".")
	if head = Meant(head, []string{"label", "free"}); head == "" {
		return ""
	}
	if _, ok := lookup(head + "." + rest); ok {
		return "did you mean " + head + "." + rest + "?"
	}
	return ""
}

// suggestOp knows how other languages write an operator.
func suggestOp(got string, allowed []Op) string {
	op, ok := map[string]Op{"=>": GreaterOrEqual, "=<": LessOrEqual, "==": Equal, "<>": NotEqual, "=!": NotEqual, "~": Equal, "=~": Equal}[got]
	if !ok || !slices.Contains(allowed, op) {
		return ""
	}
	return "did you mean " + string(op) + "?"
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
