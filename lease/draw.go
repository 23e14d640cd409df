// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
)

// This file says in words what proofs say in bytes, for people. The text is no
// interface: programs read the statements.

// subject says who says what to whom.
func subject(o Opened) string {
	switch st := o.Statement.(type) {
	case *Capacity:
		return fmt.Sprintf("node %s sets aside, tranche %d", st.Node.Short(), st.Tranche)
	case *Ticket:
		return fmt.Sprintf("%s promises %s, slot %d", st.Issuer.Short(), st.Holder.Short(), st.Slot)
	case *Redeem:
		return fmt.Sprintf("%s draws for slice %s, slot %d", st.Issuer.Short(), st.Slice, st.Slot)
	case *Hold:
		return fmt.Sprintf("node %s holds for %s", st.Node.Short(), st.Holder.Short())
	case *Lease:
		return fmt.Sprintf("node %s leases to %s", st.Node.Short(), st.Holder.Short())
	case *Close:
		return fmt.Sprintf("%s closes %s", st.Issuer.Short(), st.Claim.Short())
	case *Revoke:
		return fmt.Sprintf("node %s revokes %s", st.Node.Short(), st.Claim.Short())
	case *Reject:
		r := Refusal{Sort: st.Sort, Reason: st.Reason}
		return fmt.Sprintf("node %s refuses %s: %s", st.Node.Short(), st.Parent.Short(), r.Code())
	}
	return fmt.Sprintf("%s by %s", o.Kind(), o.By().Short())
}

// terms says how much, when, how far it may be oversubscribed, and the id's
// begin; of a statement below another only what differs in words.
func terms(st, up Statement) []string {
	rset, term, degree, ok := extent(st)
	if !ok {
		return nil
	}
	cells := []string{rset.String(), between(term)}
	if _, above, _, ok := extent(up); ok && above == term {
		cells[1] = "same term"
	}
	if degree > 0 {
		cells = append(cells, fmt.Sprintf("degree %d", degree))
	}
	return cells
}

// extent is what any claim or wish has; its degree is 0 where there is none.
func extent(st Statement) (RSet, Term, uint16, bool) {
	switch st := st.(type) {
	case *Capacity:
		return st.RSet, st.Term(), st.Degree, true
	case *Ticket:
		return st.RSet, st.Term(), st.Degree, true
	case *Redeem:
		return st.RSet, st.Term(), 0, true
	case *Hold:
		return st.RSet, st.Term(), 0, true
	case *Lease:
		return st.RSet, st.Term(), 0, true
	}
	return RSet{}, Term{}, 0, false
}

// DrawProof says in words what a proof that verified shows: who promised what to
// whom, when, and why that is more than it might.
func DrawProof(p Proof, v Verdict) string {
	var b strings.Builder
	b.WriteString(v.String() + "\n\n")
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	var up Statement
	line := func(raw []byte, indent string) {
		o, err := read(raw)
		if err != nil {
			fmt.Fprintf(t, "%s%d bytes attached\n", indent, len(raw))
			return
		}
		cells := append([]string{subject(o)}, terms(o.Statement, up)...)
		fmt.Fprintf(t, "%s%s\t%s\n", indent, strings.Join(cells, "\t"), "id "+o.ID.Short())
		if _, ok := claimOf(o.Statement); ok {
			up = o.Statement
		}
	}
	indent := ""
	for i, raw := range p.Chain {
		line(raw, indent)
		indent = strings.Repeat("   ", i) + "└─ "
	}
	if len(p.Chain) == 0 {
		for _, raw := range p.Evidence {
			line(raw, "")
		}
	} else {
		indent = strings.Repeat("   ", len(p.Chain)-1)
		parent := up
		for i, raw := range p.Evidence {
			up = parent // all of them stand under it
			if i == len(p.Evidence)-1 {
				line(raw, indent+"└─ ")
			} else {
				line(raw, indent+"├─ ")
			}
		}
	}
	t.Flush()
	b.WriteString("\n" + v.because(p) + "\n")
	return b.String()
}

// String says in one line what was proved.
func (v Verdict) String() string {
	who := v.Principal.Short()
	switch v.Kind {
	case ProofTwice:
		return fmt.Sprintf("%s sold one slot of %s twice, %s", who, v.About.Short(), between(v.Term))
	case ProofOver:
		return fmt.Sprintf("%s over-issued %s: %s=%s of %s, %s", who, v.About.Short(), v.Resource, v.Weighed.Format(v.Resource),
			v.Limit.Format(v.Resource), between(v.Term))
	case ProofCapacity:
		return fmt.Sprintf("node %s set one tranche aside twice, %s", who, between(v.Term))
	case ProofRefused:
		return fmt.Sprintf("node %s refused %s for a reason of its own, %s", who, v.About.Short(), between(v.Term))
	case ProofUnfilled:
		return fmt.Sprintf("node %s refused %s without what would bear it out, %s", who, v.About.Short(), between(v.Term))
	case ProofGrace:
		return fmt.Sprintf("node %s revoked %s without its grace, %s", who, v.About.Short(), between(v.Term))
	}
	return v.Kind.String()
}

// because says why that proves it.
func (v Verdict) because(p Proof) string {
	who := v.Principal.Short()
	switch v.Kind {
	case ProofTwice:
		return fmt.Sprintf("A slot holds one ticket at a time, or redeems, not both. %s signed both.", who)
	case ProofOver:
		return fmt.Sprintf("%s may promise %s=%s at a time. At %s it had signed %s that together weigh %s;\nwithout any one of them they would not exceed it.",
			who, v.Resource, v.Limit.Format(v.Resource), clock(v.At), many(len(p.Evidence), "promise"), v.Weighed.Format(v.Resource))
	case ProofCapacity:
		return fmt.Sprintf("At one time a tranche is set aside once. %s signed both.", who)
	case ProofRefused:
		return "Nothing on this path was oversubscribed, and a node that keeps the rules cannot come to this reason."
	case ProofUnfilled:
		if len(p.Evidence) > 2 {
			return "What is attached fills the claim only with what the node itself had revoked before."
		}
		return "The node signed that this bears its refusal out, and it does not."
	case ProofGrace:
		was, errWas := read(p.Evidence[0])
		end, errEnd := read(p.Evidence[1])
		if errWas != nil || errEnd != nil {
			return ""
		}
		l, r := was.Statement.(*Lease), end.Statement.(*Revoke)
		return fmt.Sprintf("The lease promises a notice of %s, the revoke gives %s.", lasting(int64(l.Grace)), lasting(max(r.At-r.Said, 0)))
	}
	return ""
}

func many(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func between(t Term) string { return clock(t.From) + " to " + clock(t.Until) + " UTC" }

// clock prints an instant to the minute if it is a whole one.
func clock(at int64) string {
	if at%60 != 0 {
		return time.Unix(at, 0).UTC().Format("2006-01-02 15:04:05")
	}
	return time.Unix(at, 0).UTC().Format("2006-01-02 15:04")
}

// lasting prints seconds as people say them: "3h20m", "45s", "12 days".
func lasting(seconds int64) string {
	if days := seconds / 86_400; days >= 2 {
		return fmt.Sprintf("%d days", days)
	}
	s := (time.Duration(seconds) * time.Second).String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(s, zero) {
			s = s[:len(s)-2]
		}
	}
	return s
}
