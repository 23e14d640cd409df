// SPDX-License-Identifier: Apache-2.0

package alive

import (
	"slices"
	"time"

	"croft/lease"
	"croft/lease/judge"
	"croft/lease/offer"
)

// Config is fixed for the life of a Watch.
type Config struct {
	Self lease.Principal
	Key  lease.Signer // signs suspicions
	// Offer returns the newest offer of a node, and false if there is none, or the
	// node has left. The site that it names must be certified.
	Offer func(lease.Principal) (*offer.Opened, bool)
	// Phase is when in a Period this node's turns are, so that not all have them
	// at once.
	Phase time.Duration
	// Verify checks a signature as [Sealed.Verify] does, which it is if nil. Who has
	// many watches verifies each suspicion once.
	Verify func(Sealed) error
}

// Stats are what a Watch has counted.
type Stats struct {
	Probes    uint64 `json:"probes"`
	Answers   uint64 `json:"answers"`
	Misses    uint64 `json:"misses"`
	Silent    uint64 `json:"silent"`    // misses that were not told, since most were missed
	Suspected uint64 `json:"suspected"` // by this node
	Refuted   uint64 `json:"refuted"`   // of them, that were refuted by an answer or a newer offer
	Refutes   uint64 `json:"refutes"`   // suspicions of this node that it refuted
	Doubted   int    `json:"doubted"`   // nodes now
	Absent    int    `json:"absent"`    // nodes now
}

// Watch is what one node knows about which others are there.
type Watch struct {
	cfg    Config
	ring   ring
	doubts map[lease.Principal]*doubt
	own    map[lease.Principal]Sealed // what this node says, as it was told last

	near  [Neighbours]target
	lost  []target
	place int       // whose turn it is
	next  time.Time // when; zero before the first step
	refs  uint64
	dirty bool
	last  time.Time
	cut   bool // most neighbours did not answer, and not enough of them have since

	left     int // suspicions that may be verified now
	refilled time.Time

	refuted time.Time // when this node last did
	streak  int       // so often, each soon after the one before
	refute  bool      // it will again
	stats   Stats
}

// NewWatch returns one that knows of nobody.
func NewWatch(cfg Config) *Watch {
	if cfg.Verify == nil {
		cfg.Verify = Sealed.Verify
	}
	return &Watch{cfg: cfg, doubts: map[lease.Principal]*doubt{}, own: map[lease.Principal]Sealed{}, left: Burst}
}

// Step advances the watch to now and applies one input.
func (w *Watch) Step(now time.Time, in Input) (effects []Effect) {
	if w.next.IsZero() {
		w.next, w.refilled = now.Add(w.cfg.Phase%Period), now
	}
	if back := w.last.Sub(now); back > 0 {
		w.shift(-back)
	}
	w.last = now
	switch in := in.(type) {
	case Heard:
		effects = w.heard(now, in)
	case Gone:
		w.gone(in.Node)
	case Answered:
		effects = w.answered(in.Ref)
	case Unsent:
		if t := w.asked(in.Ref); t != nil {
			t.ref = 0
		}
	case Received:
		effects = w.receive(now, in.Bytes)
	}
	effects = append(effects, w.overdue(now)...)
	effects = append(effects, w.turn(now)...)
	return append(effects, w.refutes(now)...)
}

// shift follows a clock that was stepped back: else nobody would be probed until it
// has caught up.
func (w *Watch) shift(by time.Duration) {
	w.next, w.refilled, w.refuted = w.next.Add(by), w.refilled.Add(by), w.refuted.Add(by)
	w.each(func(t *target) { t.until, t.next = t.until.Add(by), t.next.Add(by) })
	for _, d := range w.doubts {
		for i := range d.said {
			d.said[i].got = d.said[i].got.Add(by)
		}
		for i := range d.blamed {
			d.blamed[i].last = d.blamed[i].last.Add(by)
		}
	}
}

// NextWake reports when Step must next be called.
func (w *Watch) NextWake() (time.Time, bool) {
	at := w.next
	w.each(func(t *target) {
		if t.ref != 0 && t.until.Before(at) {
			at = t.until
		}
	})
	if again := w.refuteAt(); w.refute && again.Before(at) {
		at = again
	}
	return at, !w.next.IsZero()
}

// heard takes a newer offer, which refutes all that was said of an older one.
func (w *Watch) heard(now time.Time, in Heard) []Effect {
	if in.Node == w.cfg.Self {
		w.refute = false
	}
	w.dirty = w.ring.add(in.Node) || w.dirty
	if mine, ok := w.own[in.Node]; ok && mine.Sequence < in.Sequence {
		delete(w.own, in.Node)
		w.stats.Refuted++
	}
	w.each(func(t *target) {
		if t.node == in.Node {
			t.misses = 0
		}
	})
	if d := w.doubts[in.Node]; d != nil {
		w.dirty = true
		d.refuted(now, in.Sequence)
		return w.changed(in.Node, d)
	}
	return nil
}

func (w *Watch) gone(node lease.Principal) {
	w.dirty = w.ring.remove(node) || w.dirty
	delete(w.doubts, node)
	delete(w.own, node)
}

// sequence returns that of the newest offer of a node; 0 if there is none.
func (w *Watch) sequence(node lease.Principal) uint64 {
	if o, ok := w.cfg.Offer(node); ok {
		return o.Sequence
	}
	return 0
}

func (w *Watch) standing(node lease.Principal) Standing {
	d := w.doubts[node]
	if d == nil {
		return Present
	}
	return d.standing(w.sequence(node))
}

// Standing returns what the node of an offer is taken for, by that offer.
func (w *Watch) Standing(o *offer.Offer) Standing {
	if d := w.doubts[o.Node]; d != nil {
		return d.standing(o.Sequence)
	}
	return Present
}

// Stats returns the counters.
func (w *Watch) Stats() Stats {
	s := w.stats
	for _, d := range w.doubts {
		switch d.counted {
		case Doubted:
			s.Doubted++
		case Absent:
			s.Absent++
		}
	}
	return s
}

// changed tells if a node stands otherwise than was told last.
func (w *Watch) changed(node lease.Principal, d *doubt) []Effect {
	now := d.standing(w.sequence(node))
	if now == d.counted {
		return nil
	}
	d.counted = now
	w.dirty = true
	return []Effect{Changed{node, now}}
}

// lapse forgets suspicions that are no longer valid.
func (w *Watch) lapse(now time.Time) (effects []Effect) {
	var nodes []lease.Principal
	for node := range w.doubts {
		nodes = append(nodes, node)
	}
	slices.SortFunc(nodes, compare)
	for _, node := range nodes {
		d := w.doubts[node]
		d.lapse(now)
		if d.of(w.cfg.Self) == nil {
			delete(w.own, node)
			d.certain = 0
		}
		effects = append(effects, w.changed(node, d)...)
		if len(d.said)+len(d.blamed) == 0 {
			delete(w.doubts, node)
		}
	}
	return effects
}

// withdraw takes back what this node itself held against another.
func (w *Watch) withdraw(node lease.Principal) []Effect {
	if _, mine := w.own[node]; mine {
		delete(w.own, node)
		w.stats.Refuted++
	}
	d := w.doubts[node]
	if d == nil {
		return nil
	}
	d.drop(w.cfg.Self)
	d.certain = 0
	return w.changed(node, d)
}

// suspect says that a node has missed its probes, if that is news.
func (w *Watch) suspect(now time.Time, node lease.Principal) []Effect {
	o, ok := w.cfg.Offer(node)
	if !ok {
		return nil
	}
	d := w.doubts[node]
	if d == nil {
		d = &doubt{}
		w.doubts[node] = d
	}
	w.each(func(t *target) {
		if t.node == node && t.misses >= Certain {
			d.certain = o.Sequence
		}
	})
	last := d.of(w.cfg.Self)
	again := last != nil && last.sequence == o.Sequence
	if last != nil && now.Sub(last.got) < Gap || again && now.Sub(last.got) < Repeat {
		return w.changed(node, d)
	}
	fresh := func(c charge) bool { return c.by != w.cfg.Self && now.Sub(c.got) < Repeat }
	if again && d.sites(o.Sequence, fresh) >= Sites {
		last.got = now // others have just said so
		return w.changed(node, d)
	}
	c := w.charge(now, Suspicion{By: w.cfg.Self, Node: node, Sequence: o.Sequence, Made: now.Unix()})
	c.settled = d.silenced(now, c.accuser()) // nobody would listen, nor blame
	s, err := Seal(Suspicion{By: c.by, Node: node, Sequence: c.sequence, Made: c.made}, w.cfg.Key)
	if err != nil || !d.put(c) {
		return w.changed(node, d)
	}
	w.own[node] = s
	w.stats.Suspected++
	if c.settled {
		return w.changed(node, d)
	}
	return append([]Effect{Publish{node, s.Bytes}}, w.changed(node, d)...)
}

// charge is a suspicion as it counts: for the site of who makes it.
func (w *Watch) charge(now time.Time, s Suspicion) charge {
	c := charge{by: s.By, sequence: s.Sequence, made: s.Made, got: now}
	if o, ok := w.cfg.Offer(s.By); ok {
		c.site = o.Site
	}
	return c
}

// receive judges a suspicion: what costs least is looked at first.
func (w *Watch) receive(now time.Time, b []byte) []Effect {
	s, err := Read(b)
	if err == nil {
		err = s.Fresh(now)
	}
	if err != nil {
		j, reason := judge.Of(err)
		return []Effect{Verdict{j, reason}}
	}
	if reason := w.ignored(now, s.Suspicion); reason != judge.None {
		return []Effect{Verdict{judge.Ignore, reason}}
	}
	if err := w.cfg.Verify(s); err != nil {
		j, reason := judge.Of(err)
		return []Effect{Verdict{j, reason}}
	}
	d := w.doubts[s.Node]
	if d == nil {
		d = &doubt{}
		w.doubts[s.Node] = d
	}
	d.put(w.charge(now, s.Suspicion))
	effects := []Effect{Verdict{judge.Accept, judge.None}}
	if s.Node == w.cfg.Self {
		w.refute = w.refute || s.Sequence == w.sequence(s.Node)
	}
	return append(effects, w.changed(s.Node, d)...)
}

// ignored says why a suspicion is not worth its verification, if it is not.
func (w *Watch) ignored(now time.Time, s Suspicion) judge.Reason {
	if s.By == w.cfg.Self {
		return judge.Duplicate
	}
	by, node := w.sequence(s.By), w.sequence(s.Node)
	switch {
	case by == 0 || node == 0:
		return judge.Stranger
	case s.Sequence < node:
		return judge.Superseded
	case !w.plausible(s.By, s.Node):
		return judge.Distant
	}
	if d := w.doubts[s.Node]; d != nil {
		old := d.of(s.By)
		switch {
		case old == nil && len(d.said) >= maxAccusers:
			return judge.Crowded
		case old != nil && s.Made == old.made && s.Sequence == old.sequence:
			return judge.Duplicate
		case old != nil && s.Made <= old.made:
			return judge.Superseded
		case old != nil && now.Sub(old.got) < Gap:
			return judge.TooOften
		}
		if c := w.charge(now, s); d.silenced(now, c.accuser()) {
			return judge.TooOften
		}
	}
	if w.saturated(now, s) {
		return judge.Crowded
	}
	if n := int(now.Sub(w.refilled) / time.Second); n > 0 {
		w.left = min(Burst, w.left+min(n, Burst)*Rate)
		w.refilled = w.refilled.Add(time.Duration(n) * time.Second)
	}
	if w.left == 0 {
		return judge.TooOften
	}
	w.left--
	return judge.None
}

// saturated reports whether as many sites as it takes have just said the same: who
// passed theirs on need not pass on more. Of itself a node hears all.
func (w *Watch) saturated(now time.Time, s Suspicion) bool {
	d := w.doubts[s.Node]
	return d != nil && s.Node != w.cfg.Self && d.sites(s.Sequence, func(c charge) bool {
		return c.by != w.cfg.Self && now.Sub(c.got) < Repeat/2
	}) >= Sites
}

// plausible reports whether one node is near enough before another to probe it:
// those between them that are absent do not count.
func (w *Watch) plausible(by, node lease.Principal) (ok bool) {
	between := 0
	w.ring.after(by, func(p lease.Principal) bool {
		if p == node {
			ok = true
			return false
		}
		if w.standing(p) != Absent {
			between++
		}
		return between < Plausible
	})
	return ok
}
