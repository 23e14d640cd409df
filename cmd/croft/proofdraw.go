// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"

	"croft/lease"
)

// drawProof draws the statements of a proof as a tree: the chain downwards, and
// the evidence below its end.
func drawProof(p lease.Proof) []string {
	var lines []string
	indent := ""
	for i, b := range p.Chain {
		head := ""
		if i > 0 {
			head = indent + "└─ "
			indent += "   "
		}
		lines = append(lines, head+statementLine(b))
	}
	if len(p.Chain) > 0 {
		indent += "   "
		indent = strings.TrimPrefix(indent, "   ")
	}
	for i, b := range p.Evidence {
		head := "├─ "
		if i == len(p.Evidence)-1 {
			head = "└─ "
		}
		if len(p.Chain) == 0 {
			head = ""
		}
		lines = append(lines, indent+head+statementLine(b))
	}
	return lines
}

// statementLine says in a line what a statement is, who signed it and what for.
func statementLine(b []byte) string {
	o, err := lease.Open(b)
	if err != nil {
		if f, err := lease.ParseFilling(b); err == nil {
			return fmt.Sprintf("attached: what fills the claim, %d entries", len(f))
		}
		return fmt.Sprintf("attached: %d bytes", len(b))
	}
	return fmt.Sprintf("%s %s by %s%s", o.Kind(), o.ID.Short(), o.By().Short(), statementSays(o.Statement))
}

func statementSays(st lease.Statement) string {
	switch s := st.(type) {
	case *lease.Capacity:
		return fmt.Sprintf(", tranche %d: %s, degree %d, %s", s.Tranche, s.RSet, s.Degree, daySpan(s.Term()))
	case *lease.Ticket:
		return fmt.Sprintf(" to %s, slot %d: %s, degree %d, %s", s.Holder.Short(), s.Slot, s.RSet, s.Degree, daySpan(s.Term()))
	case *lease.Redeem:
		return fmt.Sprintf(", slot %d: %s, %s", s.Slot, s.RSet, daySpan(s.Term()))
	case *lease.Lease:
		return fmt.Sprintf(" to %s: %s, grace %d s, %s", s.Holder.Short(), s.RSet, s.Grace, daySpan(s.Term()))
	case *lease.Hold:
		return fmt.Sprintf(" to %s: %s, %s", s.Holder.Short(), s.RSet, daySpan(s.Term()))
	case *lease.Revoke:
		return fmt.Sprintf(", said %s, takes effect %s", dayTime(s.Said), dayTime(s.At))
	case *lease.Close:
		return ", at " + dayTime(s.At)
	case *lease.Reject:
		refusal := lease.Refusal{Sort: s.Sort, Reason: s.Reason}
		return fmt.Sprintf(", %s at %s", refusal.Code(), dayTime(s.At))
	}
	return ""
}
