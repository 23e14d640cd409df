// SPDX-License-Identifier: Apache-2.0

package slice

import (
	"fmt"
	"io"
	"time"

	"croft/lease"
)

// phase is how far the gang has come.
type phase uint8

const (
	unbegun phase = iota
	holding
	leasing
	launching
	ending // closing what is not kept
	over
)

// Run brings a slice about: see the package's comment.
type Run struct {
	plan   Plan
	key    lease.Signer
	random io.Reader

	phase   phase
	members []*member // in the order of the candidates
	now     time.Time
	endBy   time.Time // in ending: when not to wait any longer
	verdict Outcome
	causes  map[Outcome]int // how many nodes fell out for what
	reason  string          // why all of it ended, if not because of nodes
	kept    bool            // a record has been kept

	reserved bool // the leases were had before
	effects  []Effect
}

// New makes a run of plan. The key's principal owns the slice; random gives
// request ids. The error is ErrPlan: what the user asked for cannot be.
func New(plan Plan, key lease.Signer, random io.Reader) (*Run, error) {
	if err := plan.check(key); err != nil {
		return nil, fmt.Errorf("planning slice %s: %w", plan.Label, err)
	}
	r := &Run{plan: plan, key: key, random: random, causes: map[Outcome]int{}}
	for _, c := range plan.Candidates {
		r.members = append(r.members, &member{Candidate: c})
	}
	return r, nil
}

// NewLaunch makes a run of what was reserved before: the leases of record are in
// hand, and its slivers run program. A gang as any other, it runs as a whole or,
// with partial, as far as it can; what does not run is closed.
func NewLaunch(record Record, program []byte, partial bool, key lease.Signer) (*Run, error) {
	switch {
	case key.Principal() != record.Owner:
		return nil, fmt.Errorf("launching slice %s of %s with the key of %s: %w",
			record.Slice, record.Owner.Short(), key.Principal().Short(), ErrPlan)
	case len(program) == 0 || len(record.Slivers) == 0:
		return nil, fmt.Errorf("launching slice %s: nothing to run, or nowhere: %w", record.Slice, ErrPlan)
	}
	r := &Run{plan: Plan{Label: record.Slice, Want: len(record.Slivers), Partial: partial, Program: program},
		key: key, causes: map[Outcome]int{}, reserved: true, kept: true}
	for _, s := range record.Slivers {
		if _, err := record.lease(s); err != nil {
			return nil, err
		}
		r.plan.Wish.Term.Until = max(r.plan.Wish.Term.Until, s.Until)
		r.members = append(r.members, &member{Candidate: Candidate{Node: s.Node, Name: s.Name, Addrs: s.Addrs}, state: leased, sliver: s})
	}
	return r, nil
}

// Step advances the run to now, applies one input and returns what its owner
// must do, as one batch.
func (r *Run) Step(now time.Time, in Input) []Effect {
	r.now, r.effects = now, nil
	switch in := in.(type) {
	case Start:
		r.start()
	case Drawn:
		r.drawn(in)
	case Held:
		r.hold(in)
	case Committed:
		r.lease(in)
	case Withheld:
		if m := r.member(in.Node); m != nil && m.state == drawing {
			r.drop(m, RefusedByOwner, in.Text)
			m.withheld = true
		}
	case Refused:
		r.refused(in.Node, in.Refusal)
	case CommitRefused:
		r.commitRefused(in)
	case Failed:
		r.failed(in.Node, in.Trouble, in.Text)
	case Activated, ActivateFailed, Progress, Running, SliverFailed:
		r.launch(in)
	case Closed:
		if m := r.member(in.Node); m != nil && m.state == closing && m.claim == in.Claim {
			m.state = out
		}
	case Abort:
		r.abort()
	}
	r.expire()
	r.advance()
	return r.effects
}

// NextWake reports when Step must next be called with a Tick.
func (r *Run) NextWake() (at time.Time, ok bool) {
	sooner := func(t time.Time) {
		if !t.IsZero() && (!ok || t.Before(at)) {
			at, ok = t, true
		}
	}
	if r.phase == ending {
		sooner(r.endBy)
	}
	for _, m := range r.members {
		switch {
		case r.phase == over || r.phase == unbegun:
		case m.state == drawing || m.state == asked || m.state == committing || m.state == activating || m.state == starting || m.state == closing:
			sooner(m.wake)
		case m.state == held && r.phase == holding:
			sooner(m.fuse.Add(-FuseMargin))
		}
	}
	return at, ok
}

func (r *Run) start() {
	if r.phase != unbegun {
		return
	}
	if r.reserved {
		r.phase = leasing
		return
	}
	r.stage("discover", len(r.members), r.plan.Known, r.plan.Found)
	if n := len(r.members); n == 0 || n < r.plan.Want && !r.plan.Partial {
		r.reason = fmt.Sprintf("found %d of %d nodes wanted", n, r.plan.Want)
		r.end(NothingMatched)
		return
	}
	r.phase = holding
}

func (r *Run) abort() {
	switch r.phase {
	case ending:
		r.endBy = r.now
	case over:
	default:
		r.reason = "interrupted"
		r.end(Broken)
	}
}

// advance does what the states of all members together call for.
func (r *Run) advance() {
	switch r.phase {
	case holding:
		r.gather()
	case leasing:
		r.settle()
	case launching:
		r.watch()
	}
	if r.phase == ending {
		r.finish()
	}
}

// gather asks until enough is held, then has all of it committed.
func (r *Run) gather() {
	for _, m := range r.members {
		if r.count(held)+r.pending() >= r.plan.Want {
			break
		}
		if m.state == waiting {
			r.ask(m)
		}
	}
	n := r.count(held)
	short := r.now.After(r.soonest()) || r.pending() == 0 // no time or nobody to wait for
	switch {
	case n == r.plan.Want || short && n > 0 && r.plan.Partial:
		r.stage("hold", n, r.plan.Want, "")
		r.commit()
	case short && n > 0:
		if r.pending() > 0 {
			r.reason = fmt.Sprintf("%d of %d held when the first hold was about to fall", n, r.plan.Want)
		}
		r.stage("hold", n, r.plan.Want, "")
		r.end(NoneKept)
	case short:
		r.end(r.cause())
	}
}

// soonest is the last moment to commit before a hold falls.
func (r *Run) soonest() time.Time {
	var at time.Time
	for _, m := range r.members {
		if m.state == held && (at.IsZero() || m.fuse.Before(at)) {
			at = m.fuse
		}
	}
	if at.IsZero() {
		return r.now // nothing is held, nothing falls
	}
	// Due at the very moment that NextWake names.
	return at.Add(-FuseMargin - 1)
}

func (r *Run) ask(m *member) {
	var id lease.Request
	if _, err := io.ReadFull(r.random, id[:]); err != nil {
		r.drop(m, Broken, "no request id: "+err.Error())
		return
	}
	if !m.Ticket.IsZero() {
		m.draw = r.plan.draw(r.key.Principal(), m.Candidate, id)
		m.state, m.wake = drawing, r.now.Add(AskTimeout)
		r.emit(m.draw)
		return
	}
	signed, err := lease.Seal(r.plan.ask(r.key.Principal(), m.Node, id), r.key)
	if err == nil {
		m.ask, err = signed.Open()
	}
	if err != nil {
		r.drop(m, Broken, err.Error())
		return
	}
	m.state, m.wake = asked, r.now.Add(patience(r.plan.Wish.Bid))
	r.emit(AskHold{Node: m.Node, Chain: [][]byte{signed.Bytes()}})
}

// patience is how long a node may take to answer an ask.
func patience(bid string) time.Duration {
	if bid != "" {
		return BidTimeout
	}
	return AskTimeout
}

// drawn sends a redeem on, if it is what the purse was told to sign.
func (r *Run) drawn(in Drawn) {
	m := r.member(in.Node)
	if m == nil || m.state != drawing {
		return // it weighs in the purse, and on the node it was never seen
	}
	wish, err := in.wish(m.draw, r.key.Principal())
	if err != nil {
		r.failed(m.Node, Bad, err.Error())
		return
	}
	m.ask, m.state, m.wake = wish, asked, r.now.Add(AskTimeout)
	r.emit(AskHold{Node: m.Node, Chain: in.Chain})
}

func (r *Run) commit() {
	r.phase = leasing
	for _, m := range r.members {
		switch m.state {
		case held:
			m.state, m.wake = committing, r.now.Add(AskTimeout)
			r.emit(CommitHold{Node: m.Node, Hold: m.hold})
		case drawing, asked:
			r.drop(m, TimedOut, "no answer before the first hold was about to fall")
		}
	}
}

// settle waits until every commit is answered, and only then activates.
func (r *Run) settle() {
	n := r.count(leased)
	switch {
	case !r.plan.Partial && n+r.count(committing) < r.plan.Want || n+r.count(committing) == 0:
		r.end(NoneKept)
		return
	case r.count(committing) > 0:
		return
	}
	until := time.Unix(r.plan.Wish.Term.Until, 0).UTC().Format(time.RFC3339)
	r.stage("lease", n, r.plan.Want, "until "+until)
	r.keep(leased)
	if r.plan.Reserve {
		r.end(r.complete(n))
		return
	}
	r.phase = launching
	clear(r.causes) // those of candidates that were replaced
	for _, m := range r.members {
		if m.state == leased {
			m.state, m.wake = activating, r.now.Add(ActivateTimeout)
			r.emit(ActivateLease{Node: m.Node, Lease: m.sliver.Lease, Program: r.plan.Program})
		}
	}
}

// watch waits until every member of the gang runs or is out.
func (r *Run) watch() {
	n, coming := r.count(running), r.count(activating)+r.count(starting)
	switch {
	case n+coming == 0 || !r.plan.Partial && n+coming < r.plan.Want:
		r.end(r.cause())
	case coming > 0:
	default:
		r.end(r.complete(n))
	}
}

// complete is the verdict on n nodes of those that were wanted.
func (r *Run) complete(n int) Outcome {
	if n < r.plan.Want {
		return Partial
	}
	return OK
}

// end begins the end. What is not to be kept is closed; on success that is
// nothing, or what fell out on the way.
func (r *Run) end(verdict Outcome) {
	r.phase, r.verdict, r.endBy = ending, verdict, r.now.Add(CloseTimeout)
	if verdict == OK || verdict == Partial {
		return
	}
	n := 0
	for _, m := range r.members {
		if m.has() {
			n++
			r.close(m, m.bound())
		} else if m.state == drawing || m.state == asked {
			m.state = out // a hold that still comes is closed then
		}
	}
	if n > 0 {
		r.stage("close", 0, n, "")
	}
}

func (r *Run) finish() {
	if r.count(closing) > 0 && r.now.Before(r.endBy) {
		return
	}
	r.phase = over
	// What a node did not confirm stays on record: it may live until its term
	// ends, and its owner must be able to try again.
	record := r.record(running, closing)
	if r.plan.Reserve && (r.verdict == OK || r.verdict == Partial) {
		record = r.record(leased, closing)
	}
	if r.kept || len(record.Slivers) > 0 {
		r.emit(Keep{Record: record})
	}
	r.emit(Done{Outcome: r.verdict, Why: r.whys(), Record: record})
}

// expire ends waits that are over.
func (r *Run) expire() {
	for _, m := range r.members {
		if m.wake.IsZero() || r.now.Before(m.wake) {
			continue
		}
		switch m.state {
		case drawing, asked, committing, activating, starting:
			r.failed(m.Node, Late, "no answer")
		case closing:
			if r.phase != over {
				r.tell(m)
			}
		}
	}
}

// pending counts those that may still come to hold.
func (r *Run) pending() int { return r.count(drawing) + r.count(asked) }

func (r *Run) emit(e Effect) { r.effects = append(r.effects, e) }

func (r *Run) stage(name string, got, want int, text string) {
	r.emit(Stage{Name: name, Got: got, Want: want, Text: text})
}

func (r *Run) member(node lease.Principal) *member {
	for _, m := range r.members {
		if m.Node == node {
			return m
		}
	}
	return nil
}

func (r *Run) count(s state) (n int) {
	for _, m := range r.members {
		if m.state == s {
			n++
		}
	}
	return n
}
