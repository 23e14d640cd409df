// SPDX-License-Identifier: Apache-2.0

package lease

import "fmt"

// refusalKept is a refusal that is repeated as stored.
type refusalKept struct {
	timer
	want
	bytes   []byte
	refusal *Refusal
	fact    keptFact
}

func (r *refusalKept) same(asked ID) bool { return asked == r.id }

func (r *refusalKept) answer(ref uint64) Answer {
	return Answer{Ref: ref, Statements: [][]byte{r.bytes}, Refusal: r.refusal}
}

// reject signs and keeps a refusal while there is room for it, and otherwise
// only says it: what the node does not keep, it does not sign.
func (l *Ledger) reject(ref uint64, w *want, refusal *Refusal) {
	l.testify(w)
	if len(refusal.Text) > MaxText {
		refusal.Text = refusal.Text[:MaxText] // ASCII: every text is our own
	}
	if !l.roomToRefuse(w, refusal) || !w.maySign(refusal) {
		l.answerRefusal(ref, refusal)
		return
	}
	st := &Reject{K: KindReject, Node: l.node, Parent: w.id, At: l.now, Text: refusal.Text, Sort: refusal.Sort, Reason: refusal.Reason,
		About: refusal.About, Instant: refusal.Instant}
	if refusal.Instant != 0 {
		st.Lacks = uint8(refusal.Resource) + 1
	}
	if refusal.Attachment != nil {
		st.Attached = digestOf(refusal.Attachment)
	}
	bytes, unsigned := l.sign(st)
	if unsigned != nil {
		l.answerRefusal(ref, refusal)
		return
	}
	l.decide(Fact{K: FactRefused, Wish: w.bytes, Signed: bytes, Attached: refusal.Attachment})
	l.emit(l.requests[w.key()].answer(ref))
}

func (l *Ledger) roomToRefuse(w *want, r *Refusal) bool {
	if k := w.leaf; k != nil {
		return k.refused < MaxRefusalsOfTicket && k.yard.refused < MaxRefusalsOfSubtree && k.yard.attached+len(r.Attachment) <= MaxAttached
	}
	a := l.holders[w.by]
	return l.refused < MaxRefusals && l.attached+len(r.Attachment) <= maxAttachedToAsks && (a == nil || a.refused < MaxRefusalsOfOne)
}

func (l *Ledger) applyRefused(f Fact) error {
	id, st, err := stored(f.Wish)
	if err != nil {
		return err
	}
	w, err := wantOf(id, st, f.Wish)
	if err != nil {
		return err
	}
	_, reject, err := storedAs[*Reject](f.Signed)
	if err != nil {
		return err
	}
	if l.requests[w.key()] != nil {
		return fmt.Errorf("request answered twice: %w", ErrFact)
	}
	if w.op == KindRedeem {
		if w.leaf = l.claims[w.ticket]; w.leaf == nil || w.leaf.up == nil {
			return fmt.Errorf("ticket %s is not known: %w", w.ticket.Short(), ErrFact)
		}
	}
	r := &refusalKept{want: w, bytes: f.Signed, refusal: reject.refusal(f.Attached), fact: l.number(f)}
	l.requests[w.key()] = r
	l.keep(r, w.forget())
	l.countRefusal(r, +1)
	return nil
}

// refusal returns what a reject says, with what it names by hash.
func (r *Reject) refusal(attached []byte) *Refusal {
	return &Refusal{Sort: r.Sort, Reason: r.Reason, Text: r.Text, About: r.About,
		Resource: Resource(max(r.Lacks, 1) - 1), Instant: r.Instant, Attachment: attached}
}

func (l *Ledger) forgetRefusal(r *refusalKept) {
	delete(l.requests, r.key())
	l.drop(r)
	l.countRefusal(r, -1)
}

func (l *Ledger) countRefusal(r *refusalKept, by int) {
	attached := by * len(r.refusal.Attachment)
	if k := r.leaf; k != nil {
		k.refused += by
		k.yard.refused += by
		k.yard.attached += attached
		return
	}
	l.refused += by
	l.attached += attached
	l.account(r.by).refused += by
	l.settleAccount(r.by)
}
