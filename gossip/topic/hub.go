// SPDX-License-Identifier: Apache-2.0

package topic

import (
	"crypto/sha256"
	"errors"
	"time"

	"golang.org/x/time/rate"

	"croft/lease"
	"croft/lease/judge"
	"croft/lease/offer"
)

// Hub is one node's part in the topics of slices. It is not safe for concurrent
// use.
type Hub struct {
	joined map[Name]*joined
	slices map[slice]*known
}

// slice names a slice.
type slice struct {
	owner lease.Principal
	label string
}

func (n Name) slice() slice { return slice{n.Owner, n.Slice} }

// slices are those on whose records rights on the topic may stand: its own, and
// that of all the owner's.
func (n Name) slices() [2]slice { return [2]slice{n.slice(), {n.Owner, ""}} }

// known is what is known of a slice whose topics somebody here uses.
type known struct {
	record lease.OpenedSlice // zero: none
	asked  time.Time         // when it was last wanted
	wanted bool              // and nothing was told since
	told   time.Time         // when it was last told
	topics int               // joined
}

func (k *known) holds(now time.Time) bool { return k.record.Sequence > 0 && k.record.Holds(now.Unix()) }

// joined is one topic that the node is subscribed to.
type joined struct {
	all     *rate.Limiter // bytes
	authors map[lease.Principal]*rate.Limiter
	seen    map[lease.ID]struct{} // those of recent
	recent  []seen                // the oldest first
	shown   map[lease.Principal]authorized
	doubt   *rate.Limiter // authorities opened
}

// seen is a message that is recognised.
type seen struct {
	id    lease.ID
	until time.Time
}

// authorized is the authority that an author showed the last time.
type authorized struct {
	digest    [sha256.Size]byte
	authority lease.Authority
}

// NewHub returns a hub that is subscribed to nothing.
func NewHub() *Hub { return &Hub{joined: map[Name]*joined{}, slices: map[slice]*known{}} }

// Step applies one input at an instant.
func (h *Hub) Step(now time.Time, in Input) []Effect {
	switch in := in.(type) {
	case Join:
		return h.join(now, in.Name)
	case Leave:
		h.leave(in.Name)
	case Known:
		h.learn(now, in.Record)
	case Unfound:
		if k := h.slices[slice{in.Owner, in.Slice}]; k != nil {
			k.asked, k.wanted = now.Add(localAge-recordAge), false // it may be there soon
		}
	case Received:
		return h.judge(now, &in.Name, in.Bytes, recordAge)
	case Local:
		return h.judge(now, nil, in.Bytes, localAge)
	}
	return nil
}

// Record returns the newest record that is known of the slice of a topic that is
// joined, if it says anything at now.
func (h *Hub) Record(now time.Time, n Name) (lease.OpenedSlice, bool) {
	k := h.slices[n.slice()]
	if k == nil || !k.holds(now) {
		return lease.OpenedSlice{}, false
	}
	return k.record, true
}

// Awaits reports whether a record is looked up by which messages on a topic that is
// joined will be judged.
func (h *Hub) Awaits(n Name) bool {
	for _, s := range n.slices() {
		if k := h.slices[s]; k != nil && k.wanted {
			return true
		}
	}
	return false
}

// Joined returns the number of topics that the node is subscribed to.
func (h *Hub) Joined() int { return len(h.joined) }

func (h *Hub) join(now time.Time, n Name) []Effect {
	if err := n.Check(); err != nil {
		return verdict(judge.Of(err))
	}
	if h.joined[n] != nil {
		return verdict(judge.Accept, judge.None)
	}
	if len(h.joined) >= MaxJoined {
		return verdict(judge.Ignore, judge.Crowded)
	}
	h.joined[n] = &joined{all: rate.NewLimiter(topicRate, topicBurst), authors: map[lease.Principal]*rate.Limiter{},
		seen: map[lease.ID]struct{}{}, shown: map[lease.Principal]authorized{}, doubt: rate.NewLimiter(doubtRate, doubtRate)}
	for _, s := range n.slices() {
		if h.slices[s] == nil {
			h.slices[s] = &known{}
		}
		h.slices[s].topics++
	}
	return append(verdict(judge.Accept, judge.None), h.refresh(now, n.slice(), localAge)...)
}

func (h *Hub) leave(n Name) {
	if h.joined[n] == nil {
		return
	}
	delete(h.joined, n)
	for _, s := range n.slices() {
		if h.slices[s].topics--; h.slices[s].topics == 0 {
			delete(h.slices, s)
		}
	}
}

// learn takes a record to account if it counts, and nothing of slices that nobody
// here is interested in.
func (h *Hub) learn(now time.Time, r lease.OpenedSlice) {
	k := h.slices[slice{r.Owner, r.Slice}]
	if k == nil {
		return
	}
	k.told, k.wanted = now, false
	if k.record.Sequence == 0 || r.Newer(k.record) {
		k.record = r
	}
}

// refresh wants a record that was neither told nor asked for an age.
func (h *Hub) refresh(now time.Time, s slice, age time.Duration) []Effect {
	k := h.slices[s]
	if now.Sub(k.asked) < age || now.Sub(k.told) < age {
		return nil
	}
	k.asked, k.wanted = now, true
	return []Effect{Fetch{s.owner, s.label}}
}

// judge decides about a message: one that came on a topic, or one of somebody
// here, of which the message itself says on which. A record may be as old as age.
func (h *Hub) judge(now time.Time, on *Name, b []byte, age time.Duration) []Effect {
	m, err := Open(b)
	if err != nil {
		return verdict(judge.OfBytes(err, judge.Malformed))
	}
	if on != nil && m.Name() != *on {
		return verdict(judge.Reject, judge.Field)
	}
	if err := m.fresh(now); err != nil {
		return verdict(judge.Of(err))
	}
	j := h.joined[m.Name()]
	if j == nil {
		return verdict(judge.Ignore, judge.Stranger)
	}
	if _, again := j.seen[m.ID]; again {
		return verdict(judge.Ignore, judge.Duplicate)
	}
	effects, err := h.entitled(now, j, m, age)
	if err != nil {
		reason := judge.Unentitled
		switch {
		case errors.Is(err, errNoRecord):
			reason = judge.UnknownSlice
		case errors.Is(err, errTooMany):
			reason = judge.TooOften
		}
		return append(verdict(judge.Ignore, reason), effects...)
	}
	if reason := j.spend(now, m.Author, len(b)); reason != judge.None {
		return append(verdict(judge.Ignore, reason), effects...)
	}
	if !j.remember(now, m.ID) {
		return append(verdict(judge.Ignore, judge.Crowded), effects...)
	}
	return append(append(verdict(judge.Accept, judge.None), Delivered{m}), effects...)
}

var (
	errNoRecord = errors.New("no record of the slice is known yet")
	errTooMany  = errors.New("too many authorities to open")
)

// entitled judges whether the author may publish: by the newest record that is
// known, and by what he shows. Whatever the answer, a record that is not young is
// looked up again beside.
func (h *Hub) entitled(now time.Time, j *joined, m Opened, age time.Duration) ([]Effect, error) {
	if m.Author == m.Owner {
		return nil, nil
	}
	k := h.slices[m.Name().slice()]
	effects := h.refresh(now, m.Name().slice(), age)
	unsaid := error(errNoRecord)
	if k.holds(now) {
		if unsaid = k.record.MayPublish(m.Topic, m.Author); unsaid == nil {
			return effects, nil
		}
	}
	if len(m.Authority) == 0 {
		return effects, unsaid
	}
	a, err := j.authority(now, m)
	if err != nil {
		return effects, err
	}
	on := slice{a.Issuer, a.Slice} // that one, or all of the owner's
	stands := h.slices[on]
	if stands == nil {
		return effects, lease.ErrGrant
	}
	effects = append(effects, h.refresh(now, on, age)...)
	if stands.record.Sequence == 0 || a.Record.Newer(stands.record) {
		stands.record = a.Record // it is the owner's, whoever brings it
	}
	if a, err = a.On(stands.record); err != nil {
		return effects, err
	}
	return effects, a.Allows(lease.Deed{By: m.Author, Owner: m.Owner, Slice: m.Slice, Any: lease.VerbPublish, At: now.Unix()})
}

// authority opens what an author shows. The same again costs nothing; what is new
// costs two signature checks, and there are so many a second of them.
func (j *joined) authority(now time.Time, m Opened) (lease.Authority, error) {
	shown := sha256.Sum256(m.Authority)
	if known, ok := j.shown[m.Author]; ok && known.digest == shown {
		return known.authority, nil
	}
	if !j.doubt.AllowN(now, 1) {
		return lease.Authority{}, errTooMany
	}
	a, err := lease.OpenAuthority(m.Authority)
	if err != nil {
		return a, err
	}
	if len(j.shown) >= maxAuthors {
		clear(j.shown)
	}
	j.shown[m.Author] = authorized{shown, a}
	return a, nil
}

// spend takes a message's bytes of its author's allowance and of the topic's, or
// of neither.
func (j *joined) spend(now time.Time, who lease.Principal, n int) judge.Reason {
	own := j.authors[who]
	if own == nil {
		if len(j.authors) >= maxAuthors {
			j.forget(now)
		}
		if len(j.authors) >= maxAuthors {
			return judge.Crowded
		}
		own = rate.NewLimiter(authorRate, authorBurst)
		j.authors[who] = own
	}
	if own.TokensAt(now) < float64(n) || j.all.TokensAt(now) < float64(n) {
		return judge.TooOften
	}
	own.AllowN(now, n)
	j.all.AllowN(now, n)
	return judge.None
}

// forget lets go of the authors who would get as much again.
func (j *joined) forget(now time.Time) {
	for who, own := range j.authors {
		if own.TokensAt(now) >= authorBurst {
			delete(j.authors, who)
		}
	}
}

// remember notes a message, so that it comes once. Those whose time is over go, the
// oldest first. Those of a clock that was stepped back since make room when it is
// needed: they would be early now.
func (j *joined) remember(now time.Time, id lease.ID) bool {
	old := 0
	over := func(s seen) bool {
		return now.After(s.until) || len(j.recent)-old >= maxSeen && s.until.After(now.Add(memory+offer.MaxSkew))
	}
	for old < len(j.recent) && over(j.recent[old]) {
		delete(j.seen, j.recent[old].id)
		old++
	}
	j.recent = j.recent[old:] // append moves what is left when it needs room
	if len(j.recent) >= maxSeen {
		return false
	}
	j.seen[id] = struct{}{}
	j.recent = append(j.recent, seen{id, now.Add(memory)})
	return true
}

func verdict(j judge.Judgement, r judge.Reason) []Effect { return []Effect{Verdict{j, r}} }
