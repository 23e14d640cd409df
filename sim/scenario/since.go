// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"slices"
	"strconv"
	"strings"
)

// compared are the statistics that can be compared with what they were before.
var compared = []string{"p50", "p90", "p95", "p99", "mean"}

// since reads the end of an expectation that compares with before, such as
// "2x since 1m": at most twice what it was.
func (r *reader) since(n int, e *Expect, value word, rest []word) bool {
	number, times := strings.CutSuffix(value.value, "x")
	v, err := strconv.ParseFloat(number, 64)
	switch {
	case !times || err != nil || !(v > 0 && v <= 1e6):
		r.say(n, value.column, e.Figure+" "+e.Stat+" is "+shown(value.value), "want how many times what it was before, such as 2x")
		return false
	case !slices.Contains(compared, e.Stat):
		r.say(n, value.column, e.Figure+" "+e.Stat+" is not compared with before", "want one of "+strings.Join(compared, " "))
		return false
	case len(rest) != 2 || rest[0].value != "since":
		r.say(n, r.width, "since when?", "want such as 2x since 1m, the instant that parts before and after")
		return false
	}
	e.Value, e.Since = v, r.time(n, rest[1])
	return e.Since > 0
}

// compares holds such an expectation against when the run ends.
func (r *reader) compares(e Expect) {
	if e.Since >= r.End {
		r.say(e.Line, 1, "there is nothing after "+span(e.Since)+": the run ends at "+span(r.End), "want an earlier instant")
	}
}
