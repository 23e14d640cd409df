// SPDX-License-Identifier: Apache-2.0

package keep

import (
	"cmp"
	"slices"
	"time"

	"croft/lease"
)

// phase is what a watch waits for.
type phase uint8

const (
	idle phase = iota
	looking
	seeking
	asking
	acting
	over
)

// Watch keeps one charge: see the package's comment.
type Watch struct {
	s    Standing
	ends int64 // the owner's grant, Unix seconds

	phase  phase
	next   time.Time // idle: when to look
	now    time.Time
	dirty  bool
	open   int // acts under way
	by     string
	sight  Sight
	quiet  map[lease.Principal]time.Time // silent since
	avoid  map[lease.Principal]time.Time // until
	stead  map[lease.Principal]string    // where a sliver is run in another's stead
	ask    Question
	amiss  bool
	effect []Effect
}

// New takes up a charge, whether new or as it stood. ends is when the grant in it does,
// in Unix seconds.
func New(now time.Time, s Standing, ends int64) *Watch {
	w := &Watch{s: s, ends: ends, quiet: map[lease.Principal]time.Time{}, avoid: map[lease.Principal]time.Time{}, next: now}
	if s.Over != "" {
		w.phase = over
	}
	return w
}

// Begin is the standing of a charge that is new.
func Begin(now time.Time, c Charge) Standing {
	s := Standing{Charge: c, Since: now.Unix(), Acts: []Act{{At: now.Unix(), What: Began}}}
	s.visit(now, c.Nodes)
	return s
}

// visit has nodes be asked for as long as a lease of the charge may last there.
func (s *Standing) visit(now time.Time, nodes []lease.Principal) {
	for _, n := range nodes {
		s.place(n, now.Unix()+max(s.Charge.Term, int64(MaxTerm/time.Second)))
	}
}

func (s *Standing) place(node lease.Principal, until int64) (changed bool) {
	s.Places = slices.Clone(s.Places) // who was told of the ones before keeps them as they were
	for i := range s.Places {
		if p := &s.Places[i]; p.Node == node {
			if changed = p.Until+int64(Margin/time.Second) < until; changed { // clocks waver: not at each look
				p.Until = until
			}
			return changed
		}
	}
	if len(s.Places) >= maxPlaces { // who is asked the shortest goes
		least := slices.MinFunc(s.Places, func(a, b Place) int { return cmp.Compare(a.Until, b.Until) })
		s.Places = slices.DeleteFunc(s.Places, func(p Place) bool { return p == least })
	}
	s.Places = append(s.Places, Place{node, until})
	return true
}

// Standing returns what stands now; it is not to be changed.
func (w *Watch) Standing() Standing { return w.s }

// Question returns what was last asked; its zero before.
func (w *Watch) Question() Question { return w.ask }

// NextWake reports when Step must next be called with a Tick.
func (w *Watch) NextWake() (time.Time, bool) {
	if w.phase != idle {
		return time.Time{}, false // whoever is asked answers in time
	}
	return w.next, true
}

// Step advances the watch to now, applies one input and returns what its owner must do.
func (w *Watch) Step(now time.Time, in Input) []Effect {
	w.now, w.effect, w.dirty = now, nil, false
	switch in := in.(type) {
	case Tick:
		w.look()
	case Looked:
		if w.phase == looking {
			w.looked(in.Sight)
		}
	case Found:
		if w.phase == seeking {
			w.found(in)
		}
	case Decided:
		if w.phase == asking {
			w.decided(in)
		}
	case Undecided:
		if w.phase == asking {
			w.act(Act{What: Missed, Why: in.Why})
			w.undecided()
		}
	case Done:
		if w.phase == acting {
			w.done(in)
		}
	case Deferred:
		if w.phase == idle {
			w.rest(false)
		}
	case Lapsed:
		w.finish(in.Why)
	case Changed:
		w.s.Charge, w.ends, w.dirty = in.Charge, in.Ends, true
		w.s.visit(now, in.Charge.Nodes)
		if w.s.Over, w.s.Ended = "", 0; w.phase == over || w.phase == idle {
			w.phase, w.next = idle, now
		}
		w.act(Act{What: Began, Why: "changed"})
	}
	if w.dirty {
		s := w.s
		s.Places, s.Known, s.Acts = slices.Clone(s.Places), slices.Clone(s.Known), slices.Clone(s.Acts)
		w.effect = append([]Effect{Store{s}}, w.effect...)
	}
	return w.effect
}

func (w *Watch) emit(e Effect) { w.effect = append(w.effect, e) }

func (w *Watch) act(a Act) {
	a.At, a.By = w.now.Unix(), cmp.Or(a.By, w.by)
	w.s.Acts = append(slices.Clone(w.s.Acts[max(0, len(w.s.Acts)+1-MaxActs):]), a)
	w.dirty = true
}

// rest waits for the next look.
func (w *Watch) rest(soon bool) {
	w.phase, w.next, w.by = idle, w.now.Add(LookEvery), ""
	if soon {
		w.next = w.now.Add(LookSoon)
	}
}

// until is when a lease that is asked for now is to end.
func (w *Watch) until() int64 {
	return min(w.now.Unix()+w.s.Charge.Term, w.s.Charge.Until, w.ends)
}

func (w *Watch) finish(why string) {
	if w.phase == over {
		return
	}
	w.phase, w.s.Over, w.s.Ended = over, why, w.now.Unix()
	w.act(Act{What: Finished, Why: why})
	w.emit(Over{why})
}

func (w *Watch) look() {
	switch now := w.now.Unix(); {
	case w.phase != idle || w.now.Before(w.next):
		return
	case now >= w.s.Charge.Until:
		w.finish("its time is over")
		return
	case now >= w.ends:
		w.finish("the owner's grant has ended")
		return
	default:
		// A place stays for some time after its last lease, by our clock: nodes' clocks differ.
		gone := func(until int64) bool { return until+lease.ClockSkew < now }
		places, known := len(w.s.Places), len(w.s.Known)
		w.s.Places = slices.DeleteFunc(slices.Clone(w.s.Places), func(p Place) bool { return gone(p.Until) })
		w.s.Known = slices.DeleteFunc(slices.Clone(w.s.Known), func(k Known) bool { return gone(k.Until) })
		w.dirty = places != len(w.s.Places) || known != len(w.s.Known)
	}
	w.phase = looking
	var nodes []lease.Principal
	for _, p := range w.s.Places {
		nodes = append(nodes, p.Node)
	}
	w.emit(Look{nodes})
}

// take notes what nodes answered.
func (w *Watch) take(s Sight) {
	for _, n := range s.Silent {
		if _, before := w.quiet[n]; !before {
			w.quiet[n] = w.now
		}
	}
	silent := map[lease.Principal]bool{}
	for _, n := range s.Silent {
		silent[n] = true
	}
	for n := range w.quiet {
		if !silent[n] {
			delete(w.quiet, n)
		}
	}
	s.Seen = one(s.Seen)
	for _, p := range s.Seen {
		until := w.now.Unix() + p.Left
		if slices.ContainsFunc(w.s.Known, func(k Known) bool { return k.Sliver == p.Sliver && k.Node != p.Node }) {
			continue // a name that is another node's
		}
		at := slices.IndexFunc(w.s.Known, func(k Known) bool { return k.Sliver == p.Sliver && k.Node == p.Node })
		if at < 0 {
			if len(w.s.Known) >= MaxSlivers {
				continue // what is too much is neither renewed nor replaced
			}
			w.s.Known, w.dirty = append(slices.Clone(w.s.Known), Known{Sliver: p.Sliver, Node: p.Node, Until: until}), true
		} else if w.s.Known[at].Until < until-int64(Margin/time.Second) {
			w.s.Known = slices.Clone(w.s.Known)
			w.s.Known[at].Until, w.dirty = until, true
		}
		w.dirty = w.s.place(p.Node, until) || w.dirty
	}
	// What an answering node does not list is not there.
	known := len(w.s.Known)
	w.s.Known = slices.DeleteFunc(slices.Clone(w.s.Known), func(k Known) bool {
		return !silent[k.Node] && !slices.ContainsFunc(s.Seen, func(p Seen) bool { return p.Sliver == k.Sliver && p.Node == k.Node })
	})
	w.dirty = w.dirty || known != len(w.s.Known)
	w.sight = s
}

// one leaves of each node the sliver that counts: one that lives, or the first by name. A
// node can sign as many leases as it likes.
func one(list []Seen) (out []Seen) {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b Seen) int {
		over := func(s Seen) int {
			if s.State == Ended {
				return 1
			}
			return 0
		}
		return cmp.Or(over(a)-over(b), cmp.Compare(a.Sliver, b.Sliver))
	})
	had := map[lease.Principal]bool{}
	for _, p := range list {
		if !had[p.Node] {
			had[p.Node] = true
			out = append(out, p)
		}
	}
	return out
}

func (w *Watch) looked(s Sight) {
	w.take(s)
	q := w.question(nil)
	if q.May > 0 {
		var not []lease.Principal
		for _, k := range w.s.Known {
			not = append(not, k.Node)
		}
		for n, until := range w.avoid {
			if w.now.Before(until) {
				not = append(not, n)
			} else {
				delete(w.avoid, n)
			}
		}
		slices.SortFunc(not, func(a, b lease.Principal) int { return slices.Compare(a[:], b[:]) })
		w.phase = seeking
		w.emit(Seek{slices.Compact(not)})
		return
	}
	w.consult(q)
}

// found joins what the candidates have of the slice with what the places have: another
// may have run there what was missing here.
func (w *Watch) found(in Found) {
	s := w.sight
	asked := map[lease.Principal]bool{}
	for _, p := range s.Seen {
		asked[p.Node] = true
	}
	for _, n := range s.Silent {
		asked[n] = true
	}
	have := map[lease.Principal]bool{}
	for _, p := range in.Seen {
		if have[p.Node] = true; !asked[p.Node] {
			s.Seen = append(slices.Clone(s.Seen), p)
		}
	}
	w.take(s)
	list := slices.DeleteFunc(slices.Clone(in.Candidates), func(c Candidate) bool {
		return have[c.Node] || asked[c.Node] || slices.Contains(in.Silent, c.Node)
	})
	w.consult(w.question(list[:min(len(list), MaxCandidates)]))
}

// question says what is seen, and what may be done about it.
func (w *Watch) question(candidates []Candidate) Question {
	c := w.s.Charge
	q := Question{Slice: c.Slice + "@" + c.Owner.String(), Want: c.Want, Term: c.Term, Left: min(c.Until, w.ends) - w.now.Unix(), Candidates: candidates}
	type at struct {
		sliver string
		node   lease.Principal
	}
	seen := map[at]Seen{}
	for _, p := range w.sight.Seen {
		seen[at{p.Sliver, p.Node}] = p
	}
	list := slices.Clone(w.s.Known)
	slices.SortFunc(list, func(a, b Known) int { return cmp.Compare(a.Sliver, b.Sliver) })
	there, lives := 0, 0
	for _, k := range list {
		if k.Dropped || len(q.Slivers) >= MaxSlivers {
			continue
		}
		s := Member{Sliver: k.Sliver, Node: k.Node, State: Unseen, Left: max(k.Until-w.now.Unix(), 0), Health: w.sight.Health[k.Node]}
		if p, ok := seen[at{k.Sliver, k.Node}]; ok {
			s.State, s.Left = p.State, p.Left
		}
		switch s.State {
		case Runs, Starts:
			// The first by name go on, where there are too many: whoever keeps the slice
			// too thinks so.
			if lives++; lives <= c.Want {
				s.Due = s.Left <= c.Term/2 && w.until() > w.now.Unix()+s.Left+int64(Margin/time.Second)
			}
		case Ended:
			s.Lost = true
		case Unseen:
			silent := w.now.Sub(w.quiet[k.Node])
			s.Unseen = int64(silent / time.Second)
			s.Lost = silent >= LostAfter || silent >= AbsentAfter && s.Health == "absent"
		}
		if !s.Lost {
			there++
		}
		q.Slivers = append(q.Slivers, s)
	}
	if w.until() >= w.now.Unix()+int64(Margin/time.Second) {
		q.May = max(0, min(c.Want-there, w.budget()))
	}
	return q
}

// budget is how many slivers may still be run anew.
func (w *Watch) budget() int {
	lately := slices.DeleteFunc(slices.Clone(w.s.Runs), func(at int64) bool { return w.now.Sub(time.Unix(at, 0)) >= runsWithin })
	return max(0, runsAgain*w.s.Charge.Want-len(lately))
}

// consult asks the role, if there is anything to decide.
func (w *Watch) consult(q Question) {
	w.amiss = slices.ContainsFunc(q.Slivers, func(s Member) bool { return s.State == Unseen || s.Lost }) || q.May > 0
	due := slices.ContainsFunc(q.Slivers, func(s Member) bool { return s.Due })
	if !due && (q.May == 0 || len(q.Candidates) == 0) {
		w.open = 0
		w.tidy(w.amiss)
		return
	}
	w.ask, w.phase = q, asking
	w.emit(Consult{q})
}

// tidy closes what was replaced and is there again, after all that keeps the slice: a
// node that confirms no close must hold up nothing, and is left alone for a while.
func (w *Watch) tidy(soon bool) {
	var back []string
	for _, k := range w.s.Known {
		if k.Dropped && !w.now.Before(w.avoid[k.Node]) && slices.ContainsFunc(w.sight.Seen, func(p Seen) bool { return p.Sliver == k.Sliver && p.Node == k.Node }) {
			back = append(back, k.Sliver)
		}
	}
	if len(back) > 0 {
		w.open++
		w.emit(Close{back})
	}
	if w.phase = acting; w.open == 0 {
		w.rest(soon)
	}
}

func (w *Watch) decided(in Decided) {
	if err := w.ask.Verify(in.Decision); err != nil { // its asker has verified it; nothing is done by one that does not hold
		w.act(Act{What: Missed, By: in.By, Why: err.Error()})
		w.undecided()
		return
	}
	w.by, w.open, w.stead = in.By, 0, map[lease.Principal]string{}
	nodes := slices.Clone(in.Decision.Add)
	for _, r := range in.Decision.Replace {
		w.stead[r.Node] = r.Sliver
		nodes = append(nodes, r.Node)
	}
	until := w.until()
	if len(in.Decision.Renew) > 0 {
		w.open++
		w.emit(Renew{slices.Clone(in.Decision.Renew), until})
	}
	if len(nodes) > 0 {
		w.open++
		w.s.Runs = slices.DeleteFunc(slices.Clone(w.s.Runs), func(at int64) bool { return w.now.Sub(time.Unix(at, 0)) >= runsWithin })
		for _, n := range nodes { // before it is asked: it may be leased when we are not there any more
			w.s.place(n, until)
			w.s.Runs = append(w.s.Runs, w.now.Unix())
		}
		w.dirty = true
		w.emit(Run{nodes, until})
	}
	w.tidy(w.amiss)
}

func (w *Watch) undecided() {
	w.amiss, w.open = true, 0
	w.tidy(true)
}

func (w *Watch) done(in Done) {
	for _, k := range in.Renewed {
		w.put(k)
		w.act(Act{What: Renewed, Sliver: k.Sliver, Node: k.Node})
	}
	for _, k := range in.Ran {
		w.put(k)
		w.act(Act{What: Ran, Sliver: k.Sliver, Node: k.Node})
		for i := range w.s.Known {
			if old := &w.s.Known[i]; w.stead[k.Node] != "" && old.Sliver == w.stead[k.Node] {
				old.Dropped = true
				w.act(Act{What: Replaced, Sliver: old.Sliver, Node: old.Node})
			}
		}
	}
	for _, k := range in.Closed {
		w.s.Known = slices.DeleteFunc(slices.Clone(w.s.Known), func(o Known) bool { return o.Sliver == k.Sliver && o.Node == k.Node })
		w.act(Act{What: Closed, Sliver: k.Sliver, Node: k.Node})
	}
	for _, m := range in.Missed {
		w.act(Act{What: Missed, Sliver: m.Sliver, Node: m.Node, Why: m.Why})
		if m.Sliver == "" || w.dropped(m) {
			w.avoid[m.Node] = w.now.Add(Avoid)
		}
		w.amiss = true
	}
	if w.open--; w.open <= 0 {
		w.rest(w.amiss || len(in.Ran) > 0)
	}
}

// dropped reports whether a sliver was to be closed.
func (w *Watch) dropped(m Miss) bool {
	return slices.ContainsFunc(w.s.Known, func(k Known) bool { return k.Dropped && k.Sliver == m.Sliver && k.Node == m.Node })
}

func (w *Watch) put(k Known) {
	w.s.Known = slices.DeleteFunc(slices.Clone(w.s.Known), func(o Known) bool { return o.Sliver == k.Sliver && o.Node == k.Node })
	w.s.place(k.Node, k.Until)
	w.dirty = true
	if slices.ContainsFunc(w.s.Known, func(o Known) bool { return o.Sliver == k.Sliver }) {
		return // it was leased under the name of another node's, and is not that
	}
	w.s.Known = append(w.s.Known, k)
}
