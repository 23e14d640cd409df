// SPDX-License-Identifier: Apache-2.0

package role

import (
	"fmt"
	"strconv"
	"strings"
)

// Rule is when a challenger is promoted without its owner's doing. The zero rule
// promotes nobody.
type Rule struct {
	After     uint64  // requests that it was asked
	Agreement float64 // mean, at least; a failure counts as 0
	Faster    bool    // 95 of 100 of its answers took no longer than the incumbent's
}

// ParseRule reads a rule such as
//
//	after 1000 requests, agreement >= 0.99, p95 <= incumbent
//
// of which "after" must be there. The empty text is the zero rule.
func ParseRule(s string) (Rule, error) {
	var r Rule
	if strings.TrimSpace(s) == "" {
		return r, nil
	}
	bad := func(part string) (Rule, error) {
		return Rule{}, fmt.Errorf("%w: %.60q: want `after 1000 requests, agreement >= 0.99, p95 <= incumbent`", ErrRule, part)
	}
	seen := map[string]bool{}
	for part := range strings.SplitSeq(s, ",") {
		f := strings.Fields(part)
		if len(f) != 3 || seen[f[0]] {
			return bad(part)
		}
		seen[f[0]] = true
		switch {
		case f[0] == "after" && (f[2] == "requests" || f[2] == "request"):
			n, err := strconv.ParseUint(f[1], 10, 32)
			if err != nil || n == 0 {
				return bad(part)
			}
			r.After = n
		case f[0] == "agreement" && f[1] == ">=":
			v, err := strconv.ParseFloat(f[2], 64)
			if err != nil || !(v >= 0 && v <= 1) { // NaN is neither
				return bad(part)
			}
			r.Agreement = v
		case f[0] == "p95" && f[1] == "<=" && f[2] == "incumbent":
			r.Faster = true
		default:
			return bad(part)
		}
	}
	if r.After == 0 {
		return bad(s)
	}
	return r, nil
}

func (r Rule) String() string {
	if r.After == 0 {
		return ""
	}
	s := fmt.Sprintf("after %d requests", r.After)
	if r.Agreement > 0 {
		s += ", agreement >= " + strconv.FormatFloat(r.Agreement, 'g', -1, 64)
	}
	if r.Faster {
		s += ", p95 <= incumbent"
	}
	return s
}

// met reports whether a challenger may take over. Against an incumbent that has
// answered nothing, nobody is slow.
func (r Rule) met(challenger, incumbent Score) bool {
	if r.After == 0 || challenger.Trials < r.After || challenger.Agreement() < r.Agreement {
		return false
	}
	return !r.Faster || incumbent.Answers() == 0 || challenger.Quantile(0.95) <= incumbent.Quantile(0.95)
}
