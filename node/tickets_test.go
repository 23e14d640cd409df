// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/datadriven"

	"croft/lease"
	"croft/lease/leasetest"
)

// ticket is one that a transcript knows by a name.
type ticket struct {
	chain  [][]byte
	id     lease.ID
	holder string
	fields *lease.Ticket
}

func (s *stage) seal(st lease.Statement, by string) []byte {
	signed, err := lease.Seal(st, leasetest.Key(by))
	if err != nil {
		s.t.Fatal(err)
	}
	return signed.Bytes()
}

func (s *stage) rset(d *datadriven.TestData) lease.RSet {
	r, err := lease.ParseRSet(arg(d, "rset", "cpu=1000"))
	if err != nil {
		d.Fatalf(s.t, "%v", err)
	}
	return r
}

func (s *stage) until(d *datadriven.TestData) int64 {
	term, err := time.ParseDuration(arg(d, "for", "1h"))
	if err != nil {
		d.Fatalf(s.t, "%v", err)
	}
	return s.now.Add(term).Unix()
}

func (s *stage) keep(name, holder string, chain [][]byte) {
	o, err := lease.Open(chain[len(chain)-1])
	if err != nil {
		s.t.Fatal(err)
	}
	s.tickets[name] = &ticket{chain: chain, id: o.ID, holder: holder, fields: o.Statement.(*lease.Ticket)}
}

func (s *stage) issue(d *datadriven.TestData, name string) string {
	to, degree := arg(d, "to", ""), 100
	d.MaybeScanArgs(s.t, "degree", &degree)
	in := lease.Issue{Ref: s.ref, Holder: leasetest.Who(to), RSet: s.rset(d), Term: lease.Term{From: s.now.Unix(), Until: s.until(d)}, Degree: uint16(degree)}
	copy(in.Request[:], name)
	var chain [][]byte
	out := s.stepWith(in, func(a lease.Answer) { chain = a.Statements })
	if chain != nil {
		s.keep(name, to, chain)
	}
	return out
}

// pass happens where the node does not see it.
func (s *stage) pass(d *datadriven.TestData, name string) string {
	up := s.tickets[arg(d, "of", "")]
	to, slot, degree := arg(d, "to", ""), 0, 100
	d.ScanArgs(s.t, "slot", &slot)
	d.MaybeScanArgs(s.t, "degree", &degree)
	t := &lease.Ticket{K: lease.KindTicket, Issuer: leasetest.Who(up.holder), Node: leasetest.Who("node"), Holder: leasetest.Who(to),
		Parent: up.id, Slot: uint8(slot), RSet: s.rset(d), From: up.fields.From, Until: up.fields.Until, Degree: uint16(degree)}
	s.keep(name, to, append(up.chain[:len(up.chain):len(up.chain)], s.seal(t, up.holder)))
	return fmt.Sprintf("%s → %s: %s in slot %d\n", up.holder, to, t.RSet, slot)
}

func (s *stage) redeem(d *datadriven.TestData, name string) string {
	on := s.tickets[arg(d, "of", "")]
	slot := 0
	d.MaybeScanArgs(s.t, "slot", &slot)
	st := &lease.Redeem{K: lease.KindRedeem, Issuer: leasetest.Who(on.holder), Node: leasetest.Who("node"), Parent: on.id, Slot: uint8(slot),
		RSet: s.rset(d), From: s.now.Unix(), Until: s.until(d), Slice: "ron"}
	copy(st.Request[:], name)
	w := &wish{by: on.holder}
	if old := arg(d, "renews", ""); old != "" {
		st.Replaces, w.sliver = s.asks[old].lease, s.asks[old].sliver
	}
	return s.wish(name, w, append(on.chain[:len(on.chain):len(on.chain)], s.seal(st, on.holder)))
}

// attached says what a refusal attaches, and that a stranger can verify it.
func (s *stage) attached(a lease.Answer) string {
	b := a.Refusal.Attachment
	if f, err := lease.ParseFilling(b); err == nil {
		return fmt.Sprintf("%d draws", len(f))
	}
	p, v, err := lease.VerifyProof(b)
	if err != nil {
		s.t.Fatalf("attached: %v", err)
	}
	return fmt.Sprintf("proof (%s) against %s", p.K, s.tell(v.Principal.Short()))
}

// tell puts the names of tickets and people where the beginnings of their ids are.
func (s *stage) tell(text string) string {
	for _, name := range slices.Sorted(maps.Keys(s.tickets)) {
		t := s.tickets[name]
		text = strings.ReplaceAll(text, t.id.Short(), name)
		text = strings.ReplaceAll(text, leasetest.Who(t.holder).Short(), t.holder)
	}
	return text
}

// tree draws the claims as far as the node knows them.
func (s *stage) tree() string {
	var out strings.Builder
	for _, e := range s.core.Ledger().Tree() {
		name := "capacity"
		if e.Depth > 0 {
			name = s.tell(e.Ticket.Short()) + " of " + s.tell(e.Holder.Short())
		}
		fmt.Fprintf(&out, "%s%s %s @%d drawn %d weighs %d of %d\n", strings.Repeat("  ", e.Depth), name, e.RSet, e.Degree,
			e.Drawn[lease.CPU], e.Weighed[lease.CPU], e.Budget[lease.CPU])
	}
	return out.String()
}

func (s *stage) proofs() string {
	var out strings.Builder
	for _, p := range s.core.Ledger().Proofs() {
		fmt.Fprintf(&out, "%s: %s promised %s of %s, which may carry %s; quarantine until %s\n", p.Kind, s.tell(p.Principal.Short()),
			p.Weighed, s.tell(p.About.Short()), p.Limit, time.Unix(p.Until, 0).Sub(start))
	}
	return out.String()
}
