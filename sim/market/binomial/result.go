// SPDX-License-Identifier: Apache-2.0

package binomial

import (
	"fmt"
	"time"
)

// Result is what came of the trials.
type Result struct {
	Config
	Tickets   int // that were sold
	Conflicts int // trials in which somebody was refused
	Redeems   int
	Refused   int
	Leased    int    // units, in all trials together
	Most      int    // units that were leased at one instant
	Proofs    int    // conflicts between statements: none, if everybody keeps the rules
	Facts     uint64 // that the ledger made durable
}

// Case names the configuration, as expectations do.
func (c Config) Case() string {
	s := fmt.Sprintf("units%d-redeem%.0f-degree%d", c.Units, 100*c.Redeem, c.Degree)
	if c.Hands > 1 {
		s += fmt.Sprintf("-hands%d", c.Hands)
	}
	return s
}

// Law is what was to be expected.
func (r *Result) Law() Law { return Law{r.Units, r.Tickets, r.Redeem} }

// Conflict, Rejected and Used are what the law has of the same names.
func (r *Result) Conflict() float64 { return float64(r.Conflicts) / float64(r.Trials) }
func (r *Result) Rejected() float64 { return float64(r.Refused) / float64(max(r.Redeems, 1)) }
func (r *Result) Used() float64     { return float64(r.Leased) / float64(r.Units*r.Trials) }

// Sigma says how far off the law the trials are: of the three figures and the number
// of redeems, the one that is furthest off. See [Law].
func (r *Result) Sigma() float64 {
	l := r.Law()
	redeems := l.of(func(b int) int { return b })
	return max(l.conflicts().times(r.Trials).sigma(r.Conflicts), l.rejects().times(r.Trials).sigma(r.Refused),
		l.uses().times(r.Trials).sigma(r.Leased), redeems.times(r.Trials).sigma(r.Redeems))
}

// Virtual is how long the trials took on the ledger's clock.
func (r *Result) Virtual() time.Duration { return time.Duration(r.Trials) * pace * time.Second }
