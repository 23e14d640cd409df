// SPDX-License-Identifier: Apache-2.0

package slice

import (
	"fmt"
	"time"

	"croft/lease"
)

// verified opens what a node answered to m's ask. What does not follow from the
// ask counts as no answer, but is closed if it binds the node to us.
func (r *Run) verified(m *member, answer []byte) (lease.Opened, bool) {
	if m.ask.Statement == nil {
		return lease.Opened{}, false // never asked: nothing can answer
	}
	o, err := lease.VerifyAnswer(m.ask, answer)
	if err == nil {
		return o, true
	}
	if m.state == asked || m.state == committing {
		r.failed(m.Node, Bad, err.Error())
	}
	if o, err := lease.Open(answer); err == nil && o.By() == m.Node {
		switch st := o.Statement.(type) {
		case *lease.Hold:
			r.closeStray(m, o.ID, st.Holder)
		case *lease.Lease:
			r.closeStray(m, o.ID, st.Holder)
		}
	}
	return lease.Opened{}, false
}

func (r *Run) closeStray(m *member, claim lease.ID, holder lease.Principal) {
	if holder == r.key.Principal() && !(m.has() && claim == m.bound()) {
		r.emit(CloseClaim{Node: m.Node, Claim: claim, Statement: r.sealClose(m.Node, claim)})
	}
}

func (r *Run) hold(in Held) {
	m := r.member(in.Node)
	if m == nil {
		return
	}
	o, ok := r.verified(m, in.Hold)
	if !ok {
		return
	}
	h, ok := o.Statement.(*lease.Hold)
	switch {
	case !ok:
		if m.state == asked {
			r.failed(m.Node, Bad, fmt.Sprintf("a %s where a hold belongs", o.Kind()))
		}
	case m.state == asked:
		left := in.Left
		if left <= 0 {
			left = time.Unix(h.CommitBy, 0).Sub(r.now)
		}
		if left < 2*FuseMargin { // it would have the whole gang given up
			r.drop(m, Broken, fmt.Sprintf("its hold falls in %s", left))
			r.close(m, o.ID)
			return
		}
		m.state, m.hold, m.fuse = held, o.ID, r.now.Add(left)
	case m.has() || m.state == closing: // told before
	default: // it comes too late
		r.close(m, o.ID)
	}
}

func (r *Run) lease(in Committed) {
	m := r.member(in.Node)
	if m == nil {
		return
	}
	o, ok := r.verified(m, in.Lease)
	if !ok {
		return
	}
	l, ok := o.Statement.(*lease.Lease)
	switch {
	case !ok || l.Hold != m.hold:
		if m.state == committing {
			r.failed(m.Node, Bad, "committed something else than its hold")
		}
	case m.state == committing:
		m.state, m.sliver = leased, newSliver(m.Candidate, m.ask, o, l)
	case m.has() && m.sliver.Lease == o.ID: // told before
	default: // it comes too late
		m.sliver = newSliver(m.Candidate, m.ask, o, l)
		r.close(m, o.ID)
	}
}

func (r *Run) refused(node lease.Principal, why lease.Refusal) {
	m := r.member(node)
	switch {
	case m == nil:
	case m.state == asked:
		r.drop(m, RefusedByOwner, why.Error())
	case m.state == closing: // there is nothing left to close, or it ends already
		if endedAlready(why) {
			m.state = out
		}
	}
}

func (r *Run) commitRefused(in CommitRefused) {
	if m := r.member(in.Node); m != nil && m.state == committing {
		r.drop(m, RefusedByOwner, in.Refusal.Error())
		r.close(m, m.hold)
	}
}

func (r *Run) failed(node lease.Principal, trouble Trouble, text string) {
	m := r.member(node)
	if m == nil {
		return
	}
	switch m.state {
	case drawing, asked: // if it holds after all, that falls by the clock
		r.drop(m, trouble.outcome(), text)
	case committing, activating, starting:
		claim := m.bound()
		r.drop(m, trouble.outcome(), text)
		r.close(m, claim)
	}
}

// launch follows a member from activation to running.
func (r *Run) launch(in Input) {
	wind := func(node lease.Principal, from ...state) *member {
		m := r.member(node)
		for _, s := range from {
			if m != nil && m.state == s {
				return m
			}
		}
		return nil
	}
	fall := func(node lease.Principal, text string) {
		if m := wind(node, activating, starting); m != nil {
			r.drop(m, Broken, text)
			r.close(m, m.sliver.Lease)
		}
	}
	switch in := in.(type) {
	case Progress:
		if m := wind(in.Node, activating, starting); m != nil {
			m.wake = r.now.Add(StartTimeout)
			r.stage("running", r.count(running), r.plan.Want, m.Name+" "+in.Text)
		}
	case Activated:
		if m := wind(in.Node, activating); m != nil {
			m.state, m.wake = starting, r.now.Add(StartTimeout)
		}
	case ActivateFailed:
		fall(in.Node, in.Text)
	case SliverFailed:
		fall(in.Node, in.Text)
	case Running:
		if m := wind(in.Node, activating, starting); m != nil {
			m.state, m.sliver.Public = running, in.Public
			r.stage("running", r.count(running), r.plan.Want, "")
		}
	}
}

// drop has no more of m, for a reason that may become everybody's.
func (r *Run) drop(m *member, cause Outcome, why string) {
	m.state, m.why, m.wake = out, why, time.Time{}
	r.causes[cause]++
}

// close has m's claim closed; after the end, once and without waiting.
func (r *Run) close(m *member, claim lease.ID) {
	m.claim, m.close = claim, r.sealClose(m.Node, claim)
	m.state = closing
	r.tell(m)
}

func (r *Run) tell(m *member) {
	m.wake = r.now.Add(CloseRetry)
	r.emit(CloseClaim{Node: m.Node, Claim: m.claim, Statement: m.close})
}

func (r *Run) sealClose(node lease.Principal, claim lease.ID) []byte {
	signed, err := lease.Seal(&lease.Close{K: lease.KindClose, Issuer: r.key.Principal(), Node: node,
		Claim: claim, At: r.now.Unix()}, r.key)
	if err != nil {
		panic(err) // every field is ours and in range
	}
	return signed.Bytes()
}
