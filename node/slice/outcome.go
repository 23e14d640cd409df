// SPDX-License-Identifier: Apache-2.0

package slice

import "fmt"

// Outcome is how it ended. The numbers are the exit codes of the command line.
type Outcome int

const (
	OK             Outcome = 0
	Broken         Outcome = 1 // failed: interrupted, a sliver did not start, a node broke the rules
	NothingMatched Outcome = 3 // fewer candidates than nodes wanted
	NoneKept       Outcome = 4 // held but none kept
	Partial        Outcome = 5 // some kept
	RefusedByOwner Outcome = 6
	TimedOut       Outcome = 7
	Unreachable    Outcome = 8
)

var outcomeNames = map[Outcome]string{OK: "ok", Broken: "failed", NothingMatched: "nothing-matched",
	NoneKept: "none-kept", Partial: "partial", RefusedByOwner: "refused", TimedOut: "timed-out", Unreachable: "unreachable"}

func (o Outcome) String() string {
	if s, ok := outcomeNames[o]; ok {
		return s
	}
	return fmt.Sprintf("outcome(%d)", int(o))
}

// ExitCode returns the command's exit status.
func (o Outcome) ExitCode() int { return int(o) }

// OwnPurse stands in the place of a node's name before the reason that the purse
// gave, in Done.Why.
const OwnPurse = "your purse"

// Trouble is why a node gave no answer.
type Trouble string

const (
	NoPath Trouble = "unreachable" // no pipe to it could be had
	Late   Trouble = "timeout"
	Bad    Trouble = "broken" // it answered, but not by the rules
)

func (t Trouble) outcome() Outcome {
	switch t {
	case NoPath:
		return Unreachable
	case Late:
		return TimedOut
	}
	return Broken
}
