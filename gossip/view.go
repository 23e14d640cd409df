// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
	"time"

	"croft/lease"
	"croft/lease/judge"
	"croft/lease/offer"
)

// ViewConfig is fixed for the life of a View.
type ViewConfig struct {
	Cap   int                    // nodes; 0 is DefaultCap
	Check offer.CheckCertificate // nil: no site is believed

	// Crowd counts who is in the view, and says of whom it takes offers and who is
	// forgotten by Narrow; nil: everybody is heard.
	Crowd *Crowd

	// Open reads an offer as [offer.Open] with Check does, which it is if nil. Who
	// has many views of the same offers opens each once, and has them share it.
	Open func([]byte) (*offer.Opened, error)
}

// View is the newest offer of each node that this one has heard of.
//
// When it is full, room goes by share. An entry belongs to the site that
// vouches for it by a checked certificate, else to the neighbour that brought
// it. A newcomer takes the place of the latest arrival of the largest group, if
// its own group stays smaller; otherwise it is ignored. So a flood through one
// neighbour or by one site displaces its own kind, and nodes that were here
// before strangers came stay.
type View struct {
	cfg      ViewConfig
	entries  map[lease.Principal]*entry
	order    []*entry // by node
	groups   map[group]int
	arrivals uint64
	evidence []Equivocated
	digest   Digest
	wake     time.Time // no entry expires before; zero when there is none
}

type group struct {
	site bool
	who  lease.Principal
}

type entry struct {
	offer   *offer.Opened // not to be changed: others may have it too
	first   uint64        // of the node's principal, by which entries are in order
	group   group
	from    lease.Principal // who brought it; zero is the node itself
	arrival uint64
	refill  int64 // when the last token was added, in nanoseconds
	heard   bool  // by gossip, not only by pull
	sure    bool  // two neighbours were found to have this very offer
	tokens  int8  // offers that the node may still publish at once
	area    Area  // of a crowd
	rank    Rank
}

// NewView returns an empty view.
func NewView(cfg ViewConfig) *View {
	if cfg.Cap <= 0 {
		cfg.Cap = DefaultCap
	}
	if cfg.Open == nil {
		cfg.Open = func(b []byte) (*offer.Opened, error) {
			o, err := offer.Open(b, cfg.Check)
			return &o, err
		}
	}
	return &View{cfg: cfg, entries: map[lease.Principal]*entry{}, groups: map[group]int{}}
}

// Step advances the view to now and applies one input.
func (v *View) Step(now time.Time, in Input) []Effect {
	effects := v.expire(now)
	switch in := in.(type) {
	case Received:
		return append(v.receive(now, in.Bytes, in.From, in.Pulled), effects...)
	case Local:
		return append(v.receive(now, in.Bytes, lease.Principal{}, true), effects...)
	}
	return effects
}

// NextWake reports when the next offer may expire.
func (v *View) NextWake() (time.Time, bool) { return v.wake, !v.wake.IsZero() }

// receive returns the verdict first.
func (v *View) receive(now time.Time, b []byte, by lease.Principal, pulled bool) []Effect {
	o, err := v.cfg.Open(b)
	if err == nil {
		err = o.Fresh(now)
	}
	if err != nil {
		j, reason := judge.Of(err)
		return []Effect{Verdict{j, reason}}
	}
	from := group{who: by}
	if v.cfg.Check != nil && !o.Site.IsZero() {
		from = group{site: true, who: o.Site}
	}
	if old, ok := v.entries[o.Node]; ok {
		return v.replace(now, old, o, from, by, pulled)
	}
	effects := []Effect{Verdict{judge.Accept, judge.None}}
	e := &entry{offer: o, first: firstOf(o.Node), group: from, from: by, heard: !pulled, tokens: Burst - 1, refill: now.UnixNano()}
	if v.cfg.Crowd != nil {
		e.area, e.rank = AreaOf(o.Node, o.Attributes.Position)
		if from != (group{}) && !v.cfg.Crowd.lets(e, pulled || v.full()) {
			return []Effect{Verdict{judge.Ignore, judge.Elsewhere}}
		}
		if v.full() {
			effects = append(effects, v.Narrow()...)
		}
	}
	if v.full() {
		victim := v.victim(from)
		if victim == nil {
			return []Effect{Verdict{judge.Ignore, judge.Crowded}}
		}
		v.forget(victim)
		effects = append(effects, Evicted{victim.offer.Node, judge.Crowded})
	}
	v.arrivals++
	e.arrival = v.arrivals
	v.entries[o.Node] = e
	v.cfg.Crowd.turn(e, 1)
	v.order = slices.Insert(v.order, v.behind(o.Node), e)
	v.digest.turn(o)
	v.groups[from]++
	v.wakeAt(o.Until)
	return append(effects, Stored{*o})
}

func (v *View) replace(now time.Time, old *entry, o *offer.Opened, from group, by lease.Principal, pulled bool) []Effect {
	switch {
	case o.ID == old.offer.ID && !pulled && !old.heard:
		old.heard = true // a pull was faster; the neighbours may still need it
		return []Effect{Verdict{judge.Accept, judge.None}}
	case o.ID == old.offer.ID:
		return []Effect{Verdict{judge.Ignore, judge.Duplicate}}
	case o.Sequence < old.offer.Sequence:
		return []Effect{Verdict{judge.Ignore, judge.Superseded}}
	case o.Sequence == old.offer.Sequence:
		return v.equivocate(old.offer, o)
	}
	// A node's last word is taken at once: its leaving must not wait.
	lastWord := o.Closed && !old.offer.Closed
	if !pulled && !lastWord && !old.spend(now) {
		return []Effect{Verdict{judge.Ignore, judge.TooOften}}
	}
	if from.site && from != old.group { // a certificate arrived; a neighbour is no reason to regroup
		v.leave(old.group)
		old.group = from
		v.groups[from]++
	}
	if v.cfg.Crowd != nil { // it may have moved
		v.cfg.Crowd.turn(old, -1)
		old.area, old.rank = AreaOf(o.Node, o.Attributes.Position)
		v.cfg.Crowd.turn(old, 1)
	}
	v.digest.turn(old.offer)
	v.digest.turn(o)
	old.offer, old.from, old.heard, old.sure = o, by, !pulled, false
	v.wakeAt(o.Until)
	effects := []Effect{Verdict{judge.Accept, judge.None}, Stored{*o}}
	if lastWord {
		effects = append(effects, Evicted{o.Node, judge.Withdrawn})
	}
	return effects
}

func (v *View) equivocate(first, second *offer.Opened) []Effect {
	ignored := []Effect{Verdict{judge.Ignore, judge.Equivocation}}
	for _, e := range v.evidence {
		if e.Node == second.Node { // one proof a node is enough
			return ignored
		}
	}
	if len(v.evidence) == MaxEvidence {
		return ignored
	}
	proof := Equivocated{second.Node, second.Sequence, first.Bytes, second.Bytes}
	v.evidence = append(v.evidence, proof)
	return append(ignored, proof)
}

// Evidence returns the equivocations seen, oldest first.
func (v *View) Evidence() []Equivocated { return slices.Clone(v.evidence) }

// spend takes one token, after adding those that time brought.
func (e *entry) spend(now time.Time) bool {
	if n := (now.UnixNano() - e.refill) / int64(Refill); n > 0 {
		e.tokens = min(Burst, e.tokens+int8(min(n, Burst)))
		e.refill += n * int64(Refill)
	}
	if e.tokens == 0 {
		return false
	}
	e.tokens--
	return true
}

// victim is whose place a newcomer of group g takes, or nil.
func (v *View) victim(g group) *entry {
	var worst *entry
	for _, e := range v.entries {
		if e.group == (group{}) {
			continue // the node's own offer
		}
		if worst == nil || v.crowds(e, worst) {
			worst = e
		}
	}
	if worst == nil || v.groups[worst.group] <= v.groups[g]+1 {
		return nil // the newcomer's group would become as large, or is the largest
	}
	return worst
}

// crowds orders by size of group, then by arrival: a total order, so that it
// does not hang on the order of a map.
func (v *View) crowds(a, b *entry) bool {
	if x, y := v.groups[a.group], v.groups[b.group]; x != y {
		return x > y
	}
	return a.arrival > b.arrival
}

func (v *View) leave(g group) {
	if v.groups[g]--; v.groups[g] == 0 {
		delete(v.groups, g)
	}
}

func (v *View) forget(e *entry) {
	delete(v.entries, e.offer.Node)
	v.cfg.Crowd.turn(e, -1)
	i := v.behind(e.offer.Node) - 1
	v.order = slices.Delete(v.order, i, i+1)
	v.digest.turn(e.offer)
	v.leave(e.group)
}

func (v *View) wakeAt(until int64) {
	if at := time.Unix(until, 0); v.wake.IsZero() || at.Before(v.wake) {
		v.wake = at
	}
}

func (v *View) expire(now time.Time) []Effect {
	if v.wake.IsZero() || now.Before(v.wake) {
		return nil
	}
	var effects []Effect
	v.wake = time.Time{}
	for _, e := range slices.Clone(v.order) {
		if now.Unix() < e.offer.Until {
			v.wakeAt(e.offer.Until)
			continue
		}
		v.forget(e)
		if !e.offer.Closed { // a withdrawn one was told already
			effects = append(effects, Evicted{e.offer.Node, judge.Expired})
		}
	}
	return effects
}

func firstOf(node lease.Principal) uint64 { return binary.BigEndian.Uint64(node[:8]) }

// behind is how many entries are not after a node.
func (v *View) behind(node lease.Principal) int {
	first := firstOf(node)
	i, found := slices.BinarySearchFunc(v.order, node, func(e *entry, n lease.Principal) int {
		if e.first != first { // nearly always: the rest need not be fetched
			return cmp.Compare(e.first, first)
		}
		return bytes.Compare(e.offer.Node[:], n[:])
	})
	if found {
		i++
	}
	return i
}

// Offers returns the offers that hold at now, withdrawn nodes left out, by node.
func (v *View) Offers(now time.Time) []offer.Opened {
	var all []offer.Opened
	for _, o := range v.Live(now) {
		all = append(all, *o)
	}
	return all
}

func (v *View) full() bool { return len(v.entries) >= v.cfg.Cap }

// Has reports whether a node is in the view.
func (v *View) Has(node lease.Principal) bool { return v.entries[node] != nil }

// Len returns the number of nodes kept, withdrawn ones included.
func (v *View) Len() int { return len(v.entries) }
