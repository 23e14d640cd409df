// SPDX-License-Identifier: Apache-2.0

package dht

import (
	"bytes"
	"slices"
	"time"
)

// LookupConfig says what is looked for. Zero fields are the limits of this
// package.
type LookupConfig struct {
	Target Key
	Self   Key       // never asked, never found
	Known  []Contact // where to begin: the nearest of one's own table

	Closest  int // k
	Paths    int // d
	Parallel int // alpha
	Limit    time.Duration
	Patience *Patience // nil: nothing was learned before
	Density  *Density  // nil: how near those are that are found is not noted

	Calm   bool      // nobody waits for what is found
	Before []Contact // of a calm one: what the last one for the target found
}

// Lookup is one iterative look-up of Kademlia over disjoint paths: it finds the
// peers nearest to a target.
//
//	l := dht.NewLookup(dht.LookupConfig{Target: key, Self: self, Known: nearest})
//	effects := l.Step(now, dht.Tick{})                         // ask 0 …, ask 1 …, ask 2 …
//	effects = l.Step(now, dht.Closer{From: peer, Peers: named}) // ask …, at last found …
//
// What is known at first is dealt to the paths. A path asks the nearest that it
// was told of and that no path has asked: so each peer is asked once, and what a
// liar tells misleads one path. A path is at its end when its k nearest have
// answered, on whatever path they were asked; the look-up when all paths are, and
// then the nearest that answered on any of them are found.
//
// Nobody is waited for longer than 95 of 100 answers take (Patience): who is
// silent is passed over, as if it had never been named, until it answers; only the
// end waits once more as long, for those that would be among the nearest. Who was
// silent when it was last asked is asked again, and not waited for at all.
type Lookup struct {
	cfg     LookupConfig
	peers   map[Key]*peer // asked, or kept by a path
	asked   []*peer       // in order
	paths   []path
	before  map[Key]bool // there without being asked
	until   time.Time
	begun   bool
	ended   bool
	stats   LookupStats
	crowd   crowd
	scratch []*peer
}

type state uint8

const (
	named    state = iota // not asked
	waiting               // asked
	silent                // asked and passed over: others are asked in its place
	lost                  // asked, and the end does not wait for it either
	answered              // asked; that it exists is certain
	failed                // asked
)

type peer struct {
	Contact
	distance Key
	paths    int // that keep it
	state    state
	path     int       // asked: on which
	when     time.Time // asked
	patience time.Time // asked: when it is passed over
	last     time.Time // asked: when the end does not wait for it any more

	// Of those that it named on its path: how many answered, and how many were
	// asked in vain.
	alive, dead int
	disproved   bool
}

// awaited: what comes of it is not known.
func (p *peer) awaited() bool { return p.state == waiting || p.state == silent || p.state == lost }

// path is what was heard on one path, nearest first.
type path struct {
	heard   []heard
	asked   int
	waiting int
}

type heard struct {
	*peer
	by []*peer // who named it; nobody: it was known
}

// NewLookup returns a look-up that has asked nobody yet.
func NewLookup(cfg LookupConfig) *Lookup {
	if cfg.Closest <= 0 || cfg.Closest > LookupClosest {
		cfg.Closest = LookupClosest
	}
	cfg.homely()
	if cfg.Paths <= 0 {
		cfg.Paths = LookupPaths
	}
	if cfg.Parallel <= 0 {
		cfg.Parallel = LookupParallel
	}
	if cfg.Limit <= 0 {
		cfg.Limit = LookupLimit
	}
	if cfg.Patience == nil {
		cfg.Patience = &Patience{}
	}
	l := &Lookup{cfg: cfg, peers: map[Key]*peer{}, paths: make([]path, cfg.Paths), before: map[Key]bool{}}
	known := slices.Concat(cfg.Before, cfg.Known)
	for _, c := range cfg.Before {
		l.before[c.Key] = true
	}
	slices.SortFunc(known, func(a, b Contact) int {
		x, y := distance(a.Key, cfg.Target), distance(b.Key, cfg.Target)
		return bytes.Compare(x[:], y[:])
	})
	known = slices.CompactFunc(known, func(a, b Contact) bool { return a.Key == b.Key })
	for i, c := range known {
		l.hear(&l.paths[i%cfg.Paths], c, nil)
	}
	return l
}

// Step advances the look-up to now and applies one input. The first step begins
// it. After Found there are no more effects.
func (l *Lookup) Step(now time.Time, in LookupInput) (effects []LookupEffect) {
	if !l.begun {
		l.begun, l.until = true, now.Add(l.cfg.Limit)
	}
	switch in := in.(type) {
	case Closer:
		l.closer(now, in)
	case Failed:
		l.failed(in)
	}
	if l.ended {
		return nil
	}
	for _, p := range l.asked {
		if p.state == waiting && !now.Before(p.patience) {
			p.state = silent
			l.cfg.Patience.Outcome(false)
			l.paths[p.path].waiting--
			l.stats.PassedOver++
			effects = append(effects, PassedOver{p.Key})
		}
		if p.state == silent && !now.Before(p.last) {
			p.state = lost
			l.cfg.Patience.Doubt(p.Key)
		}
	}
	if !now.Before(l.until) {
		l.ended = true
		return append(effects, Found{Peers: l.found(), Cut: true})
	}
	l.ended = true
	for i := range l.paths {
		asks, settled := l.advance(now, i)
		effects = append(effects, asks...)
		l.ended = l.ended && settled
	}
	if l.ended {
		found := l.found()
		if l.cfg.Density != nil {
			l.cfg.Density.Observe(l.cfg.Target, found)
		}
		effects = append(effects, Found{Peers: found})
	}
	return effects
}

// NextWake reports when to call again with a Tick, until the end.
func (l *Lookup) NextWake() (time.Time, bool) {
	if !l.begun || l.ended {
		return time.Time{}, false
	}
	wake := l.until
	for _, p := range l.asked {
		switch {
		case p.state == waiting && p.patience.Before(wake):
			wake = p.patience
		case p.state == silent && p.last.Before(wake):
			wake = p.last
		}
	}
	return wake, true
}

// Keeps reports whether a peer may yet be asked or found: who is too far is dropped.
func (l *Lookup) Keeps(k Key) bool { return l.peers[k] != nil }

// Stats returns what was counted so far.
func (l *Lookup) Stats() LookupStats { return l.stats }

func (l *Lookup) closer(now time.Time, in Closer) {
	p := l.peers[in.From]
	if p == nil || !p.awaited() {
		l.stats.Unasked++
		return
	}
	l.cfg.Patience.Observe(now.Sub(p.when))
	l.cfg.Patience.Heard(p.Key)
	if l.ended {
		p.state = answered
		return
	}
	if p.state == waiting {
		l.paths[p.path].waiting--
		l.cfg.Patience.Outcome(true)
	} else {
		l.stats.Late++
	}
	p.state = answered
	l.stats.Answered++
	if len(in.Groups) > 0 {
		p.Groups = in.Groups[:min(len(in.Groups), MaxGroups)]
	}
	if len(in.Peers) > MaxCloser {
		l.stats.Surplus += uint64(len(in.Peers) - MaxCloser)
		in.Peers = in.Peers[:MaxCloser]
	}
	for _, c := range in.Peers {
		if c.Key == in.From {
			l.stats.Self++
			continue
		}
		l.hear(&l.paths[p.path], c, p)
	}
}

func (l *Lookup) failed(in Failed) {
	p := l.peers[in.Peer]
	if p == nil || !p.awaited() {
		l.stats.Unasked++
		return
	}
	if p.state == waiting {
		l.paths[p.path].waiting--
		l.cfg.Patience.Outcome(false)
	}
	p.state = failed
	l.stats.Failed++
}

// hear puts a peer among those that a path knows. The networks that were heard
// first stay until the peer itself answers.
func (l *Lookup) hear(on *path, c Contact, by *peer) {
	if c.Key == l.cfg.Self {
		l.stats.Self++
		return
	}
	p := l.peers[c.Key]
	if p == nil {
		if len(c.Groups) > MaxGroups {
			c.Groups = c.Groups[:MaxGroups]
		}
		p = &peer{Contact: c, distance: distance(c.Key, l.cfg.Target)}
	}
	i, there := slices.BinarySearchFunc(on.heard, p, func(h heard, p *peer) int {
		return bytes.Compare(h.distance[:], p.distance[:])
	})
	if there {
		h := &on.heard[i]
		if by != nil && len(h.by) > 0 && len(h.by) < maxVouchers && !slices.Contains(h.by, by) {
			h.by = append(h.by, by)
		}
		return
	}
	if i == MaxHeard {
		l.stats.Far++
		return
	}
	h := heard{peer: p}
	if by != nil {
		h.by = []*peer{by}
	}
	on.heard = slices.Insert(on.heard, i, h)
	p.paths++
	l.peers[c.Key] = p
	if len(on.heard) > MaxHeard {
		last := on.heard[MaxHeard].peer
		on.heard[MaxHeard] = heard{}
		on.heard = on.heard[:MaxHeard]
		l.stats.Far++
		if last.paths--; last.paths == 0 && last.state == named {
			delete(l.peers, last.Key)
		}
	}
}

// Nearer reports whether a is nearer to the target than b.
func Nearer(target, a, b Key) bool {
	da, db := distance(target, a), distance(target, b)
	return bytes.Compare(da[:], db[:]) < 0
}

func distance(a, b Key) (d Key) {
	for i := range d {
		d[i] = a[i] ^ b[i]
	}
	return d
}
