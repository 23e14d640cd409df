// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"fmt"
	"time"
)

// Term is the half-open interval [From, Until) in Unix seconds.
type Term struct {
	From  int64 `json:"from"`
	Until int64 `json:"until"`
}

// Seconds returns the length of the term, never negative.
func (t Term) Seconds() int64 { return max(t.Until-t.From, 0) }

// Covers reports whether the instant (Unix seconds) lies in the term.
func (t Term) Covers(at int64) bool { return t.From <= at && at < t.Until }

// Within reports whether the whole of t lies in outer.
func (t Term) Within(outer Term) bool { return outer.From <= t.From && t.Until <= outer.Until }

// Overlaps reports whether the two terms share an instant.
func (t Term) Overlaps(o Term) bool { return t.From < o.Until && o.From < t.Until }

func (t Term) String() string {
	return fmt.Sprintf("[%s, %s)", unix(t.From), unix(t.Until))
}

func unix(sec int64) string { return time.Unix(sec, 0).UTC().Format(time.RFC3339) }

// meet returns what two terms share; its length is zero if that is nothing.
func (t Term) meet(o Term) Term { return Term{max(t.From, o.From), min(t.Until, o.Until)} }
