// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"bytes"
	"cmp"
	"errors"
	"slices"
	"time"

	"croft/lease"
	"croft/lease/judge"
)

// ProofsConfig is fixed for the life of a Proofs. The zero value is the
// protocol's, for proofs of broken promises.
type ProofsConfig struct {
	Cap   int // proofs; 0 is MaxProofs
	Bytes int // of all of them; 0 is MaxProofBytes
	Burst int // bytes that a neighbour may have verified at once; 0 is ProofBurst
	Max   int // bytes of one; 0 is lease.MaxProof

	// Read reads a proof of the kind that is kept. Nil: of a broken promise.
	Read func([]byte) (Evidence, error)
	// Known says whether a principal is one of the nodes there are; what others tell
	// against anybody else is ignored. Nil: everybody is known.
	Known func(lease.Principal) bool
}

// Proofs keeps the proofs of one kind that this node knows, of broken promises or
// of forked logs: what it found itself and what it was told. To keep one accuses
// nobody by itself: what follows from it is for the ledger's policy.
//
// To verify a proof may take a signature check for each of hundreds of
// statements, and anybody can make proofs that hold, against keys of its own. So
// there are three bounds. What is too large, was judged before or would say of a
// forked node what is known costs no check. A
// neighbour has an allowance of bytes to be verified, and all of them together
// have one. And of what holds, a principal has at most PerAccused; when the store
// is full, a newcomer takes the place of what ends first among those that the
// most talkative neighbour brought, if its own stays behind that. What the node
// found itself goes last.
//
// A proof is forgotten when it can have no consequence anywhere: that of a broken
// promise lease.MaxQuarantine after the term in which it conflicts.
type Proofs struct {
	cfg     ProofsConfig
	kept    map[lease.ID]*proof
	accused map[lease.Principal]int // proofs kept against each
	brought map[lease.Principal]int // and by whom; zero is the node itself
	size    int                     // bytes of all kept
	judged  judged
	rations rations[lease.Principal] // bytes to be verified
	wake    time.Time
}

// Proven is a proof that holds and what it shows.
type Proven struct {
	ID    lease.ID
	Bytes []byte
	From  lease.Principal // the neighbour that brought it; zero: this node
	Shown
}

type proof struct {
	Proven
	heard bool // by gossip, not only by pull
}

// NewProofs returns an empty store.
func NewProofs(cfg ProofsConfig) *Proofs {
	cfg.Cap, cfg.Bytes, cfg.Burst = cmp.Or(cfg.Cap, MaxProofs), cmp.Or(cfg.Bytes, MaxProofBytes), cmp.Or(cfg.Burst, ProofBurst)
	if cfg.Max = cmp.Or(cfg.Max, lease.MaxProof); cfg.Read == nil {
		cfg.Read = readPromise
	}
	return &Proofs{cfg: cfg, kept: map[lease.ID]*proof{}, accused: map[lease.Principal]int{},
		brought: map[lease.Principal]int{}, judged: newJudged(),
		rations: rations[lease.Principal]{each: limit{cfg.Burst, ProofRate}, together: limit{ProofBurstAll, ProofRateAll}}}
}

// NewForks returns an empty store for proofs that a node has signed two logs, one a
// node: they are named by it.
func NewForks(read func([]byte) (Evidence, error), known func(lease.Principal) bool) *Proofs {
	return NewProofs(ProofsConfig{Cap: MaxForks, Bytes: MaxForks * MaxFork, Burst: ForkBurst, Max: MaxFork, Read: read, Known: known})
}

// Step advances the store to now and applies one input, as [View.Step] does.
func (p *Proofs) Step(now time.Time, in Input) []Effect {
	effects := p.expire(now)
	switch in := in.(type) {
	case Received:
		return append(p.receive(now, in), effects...)
	case Local:
		return append(p.receive(now, Received{Bytes: in.Bytes, Pulled: true}), effects...)
	}
	return effects
}

// NextWake reports when the next proof may be forgotten.
func (p *Proofs) NextWake() (time.Time, bool) { return p.wake, !p.wake.IsZero() }

// receive returns the verdict first.
func (p *Proofs) receive(now time.Time, in Received) []Effect {
	if len(in.Bytes) > p.cfg.Max {
		return []Effect{Verdict{judge.Reject, judge.TooBig}}
	}
	name := digest(in.Bytes)
	known, ok := p.judged.get(name)
	if !ok {
		read, err := p.cfg.Read(in.Bytes)
		switch {
		case errors.Is(err, lease.ErrKind):
			return []Effect{Verdict{judge.Ignore, judge.Newer}}
		case err != nil:
			return []Effect{p.judged.put(name, judgement{verdict: judgeProof(err)})}
		case p.strange(in.From, read.Accused()):
			return []Effect{Verdict{judge.Ignore, judge.Stranger}}
		case p.settled(read, in.Pulled):
			return []Effect{Verdict{judge.Ignore, judge.Duplicate}}
		case !in.Pulled && !p.rations.spend(now, in.From, len(in.Bytes)):
			return []Effect{Verdict{judge.Ignore, judge.TooOften}}
		}
		known.id = read.ID()
		if known.shown, err = read.Shows(); err != nil {
			known.verdict = judgeProof(err)
		}
		p.judged.put(name, known)
	}
	fresh := &proof{Proven: Proven{ID: known.id, Bytes: bytes.Clone(in.Bytes), From: in.From, Shown: known.shown}, heard: !in.Pulled}
	old, kept := p.kept[fresh.ID]
	switch {
	case known.verdict != Verdict{}:
		return []Effect{known.verdict}
	case kept && !in.Pulled && !old.heard:
		old.heard = true // a pull was faster; the neighbours may still need it
		return []Effect{Verdict{judge.Accept, judge.None}}
	case kept:
		return []Effect{Verdict{judge.Ignore, judge.Duplicate}}
	case p.strange(in.From, fresh.Accused):
		return []Effect{Verdict{judge.Ignore, judge.Stranger}}
	case now.Unix() >= fresh.Ends:
		return []Effect{Verdict{judge.Ignore, judge.Expired}}
	case fresh.Begins > now.Unix()+lease.MaxTerm: // it would take its place for ever
		return []Effect{Verdict{judge.Ignore, judge.Early}}
	}
	return p.take(fresh)
}

// strange reports whether somebody else tells against one whom this node does not
// know: keys are free, and so are proofs against keys of one's own.
func (p *Proofs) strange(from, accused lease.Principal) bool {
	own := lease.Principal{}
	return p.cfg.Known != nil && from != own && from != Past && accused != own && !p.cfg.Known(accused)
}

// settled reports whether a proof of the name that this one says it has makes it
// needless, whether or not it holds: who has signed two logs can sign any number of
// pairs. One that is known by pull alone has yet to be passed on. Where the name is
// that of the bytes, and the accused not known before they are verified, nothing is.
func (p *Proofs) settled(read Evidence, pulled bool) bool {
	if read.Accused() == (lease.Principal{}) {
		return false
	}
	old, kept := p.kept[read.ID()]
	return kept && (old.heard || pulled)
}

// take keeps a proof that holds, if there is room for it.
func (p *Proofs) take(fresh *proof) []Effect {
	effects := []Effect{Verdict{judge.Accept, judge.None}}
	who := fresh.Accused
	if p.accused[who] >= PerAccused {
		first := p.first(func(e *proof) bool { return e.Accused == who })
		if fresh.Ends <= first.Ends {
			return []Effect{Verdict{judge.Ignore, judge.Crowded}}
		}
		p.forget(first)
		if p.size+len(fresh.Bytes) > p.cfg.Bytes {
			p.keep(first)
			return []Effect{Verdict{judge.Ignore, judge.Crowded}}
		}
		effects = append(effects, Forgot{first.ID, judge.Superseded})
	}
	for len(p.kept) >= p.cfg.Cap || p.size+len(fresh.Bytes) > p.cfg.Bytes {
		victim := p.victim(fresh)
		if victim == nil {
			return append([]Effect{Verdict{judge.Ignore, judge.Crowded}}, effects[1:]...)
		}
		p.forget(victim)
		effects = append(effects, Forgot{victim.ID, judge.Crowded})
	}
	p.keep(fresh)
	return append(effects, fresh.Proven)
}

func (p *Proofs) keep(e *proof) {
	p.kept[e.ID] = e
	p.accused[e.Accused]++
	p.brought[e.From]++
	p.size += len(e.Bytes)
	p.wakeAt(e.Ends)
}

// victim is whose place a newcomer takes, or nil.
func (p *Proofs) victim(fresh *proof) *proof {
	own, from := lease.Principal{}, fresh.From
	var most lease.Principal // the neighbour that brought most, the greater key among equals
	for _, e := range p.kept {
		if e.From != own && (most == own || p.brought[e.From] > p.brought[most] ||
			p.brought[e.From] == p.brought[most] && bytes.Compare(e.From[:], most[:]) > 0) {
			most = e.From
		}
	}
	victim := p.first(func(e *proof) bool { return e.From == most })
	switch {
	case from != own && most == own:
		return nil // all is the node's own
	case from == most && fresh.Ends <= victim.Ends:
		return nil // it would displace its like
	case from != own && from != most && p.brought[most] <= p.brought[from]+1:
		return nil // its neighbour would have brought as much
	}
	return victim
}

// first is the proof that ends first among those that match, or nil.
func (p *Proofs) first(match func(*proof) bool) *proof {
	var first *proof
	for _, e := range p.kept {
		if match(e) && (first == nil || order(e, first) < 0) {
			first = e
		}
	}
	return first
}

func order(a, b *proof) int {
	return cmp.Or(cmp.Compare(a.Ends, b.Ends), bytes.Compare(a.ID[:], b.ID[:]))
}

func (p *Proofs) forget(e *proof) {
	delete(p.kept, e.ID)
	p.size -= len(e.Bytes)
	less(p.accused, e.Accused)
	less(p.brought, e.From)
}

func less(counts map[lease.Principal]int, who lease.Principal) {
	if counts[who]--; counts[who] == 0 {
		delete(counts, who)
	}
}

func (p *Proofs) wakeAt(until int64) {
	if at := time.Unix(until, 0); until != Never && (p.wake.IsZero() || at.Before(p.wake)) {
		p.wake = at
	}
}

func (p *Proofs) expire(now time.Time) []Effect {
	if p.wake.IsZero() || now.Before(p.wake) {
		return nil
	}
	var effects []Effect
	p.wake = time.Time{}
	for _, e := range p.sorted() {
		if now.Unix() < e.Ends {
			p.wakeAt(e.Ends)
			continue
		}
		p.forget(e)
		effects = append(effects, Forgot{e.ID, judge.Expired})
	}
	return effects
}

func (p *Proofs) sorted() []*proof {
	all := make([]*proof, 0, len(p.kept))
	for _, e := range p.kept {
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b *proof) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return all
}

// Proven returns what is kept, by id.
func (p *Proofs) Proven() []Proven {
	all := make([]Proven, 0, len(p.kept))
	for _, e := range p.sorted() {
		all = append(all, e.Proven)
	}
	return all
}

// Len returns the number of proofs kept.
func (p *Proofs) Len() int { return len(p.kept) }
