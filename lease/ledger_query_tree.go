// SPDX-License-Identifier: Apache-2.0

package lease

// TicketEntry is one claim of the tree: a ticket, or the capacity that it stands
// on.
type TicketEntry struct {
	Ticket  ID        `json:"ticket"`
	Parent  ID        `json:"parent,omitzero"` // none of a capacity
	Issuer  Principal `json:"issuer"`
	Holder  Principal `json:"holder"`
	Depth   int       `json:"depth"` // 0 of a capacity, 1 of what the node gave
	Slot    uint8     `json:"slot"`  // of a capacity: its tranche
	RSet    RSet      `json:"rset"`
	Term    Term      `json:"term"`
	Degree  uint16    `json:"degree"`  // hundredths
	Redeems int       `json:"redeems"` // granted directly under it, and kept
	Drawn   RSet      `json:"drawn"`   // the most that runs through it at any instant to come
	// Weighed is the most that is known to be promised under it at any instant
	// to come, and Budget the most that may be, in the units of the rset.
	Weighed RSet     `json:"weighed"`
	Budget  RSet     `json:"budget"`
	Chain   [][]byte `json:"chain"` // signed, the capacity first
}

// Left is what may still be promised under the claim, as far as this node knows.
func (e TicketEntry) Left() RSet { return e.Budget.Minus(e.Weighed) }

func (l *Ledger) claimEntry(k *claimBook) TicketEntry {
	e := TicketEntry{Ticket: k.ID, Issuer: k.By(), Holder: k.holder, RSet: k.rset, Term: k.term, Degree: k.degree,
		Redeems: k.redeems, Chain: k.chain().Bytes()}
	for x := k.up; x != nil; x = x.up {
		e.Depth++
	}
	switch st := k.Statement.(type) {
	case *Ticket:
		e.Parent, e.Slot = st.Parent, st.Slot
	case *Capacity:
		e.Slot = st.Tranche
	}
	for r, v := range k.rset {
		e.Budget[r] = weigh(v, k.degree).whole()
	}
	if ahead := (Term{max(k.term.From, l.now), k.term.Until}); ahead.Seconds() > 0 {
		e.Drawn, e.Weighed = k.draws.peak(ahead), k.weights.Weight(ahead)
	}
	return e
}

// Tickets returns the tickets that are kept, those that the node gave and those
// that were passed on, oldest first.
func (l *Ledger) Tickets() []TicketEntry {
	list := []TicketEntry{}
	for _, k := range l.byKeeping() {
		if k.up != nil {
			list = append(list, l.claimEntry(k))
		}
	}
	return list
}

// Tree returns every claim that is kept, each capacity followed by what stands
// on it, children by age: as a tree is printed, indented by Depth.
func (l *Ledger) Tree() []TicketEntry {
	list := []TicketEntry{}
	var walk func(*claimBook)
	walk = func(k *claimBook) {
		list = append(list, l.claimEntry(k))
		for _, x := range k.below {
			walk(x)
		}
	}
	for _, root := range l.roots() {
		walk(root)
	}
	return list
}
