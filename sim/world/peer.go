// SPDX-License-Identifier: Apache-2.0

package world

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"

	"croft/dht"
	"croft/gossip"
	"croft/lease"
	"croft/lease/offer"
	"croft/lease/oracle"
	"croft/lease/sign"
	"croft/node"
	"croft/sandbox"
)

// peer is one machine: a daemon that may be down, its disk, and its slivers, which
// run on without it.
type peer struct {
	w     *World
	index int
	key   *sign.Key // nil before it first joined
	up    bool
	left  bool // for good
	hole  bool // takes everything and answers nothing
	life  uint // how often the daemon was started or ended: what was on the way to an older one is lost

	core    *node.Core
	skew    time.Duration // of the wall clock
	base    time.Duration // skew of the ledger's time: the wall's at the start
	floor   time.Time     // the ledger's time never goes behind it
	bar     lease.Reason
	busy    bool // a frame is being written
	inbox   []node.Input
	tickAt  time.Duration // when it will be woken, if tickSet
	tickSet bool
	answers map[uint64]func(lease.Answer)
	watch   map[string][]func(sandbox.Changed)
	disk    disk
	slivers []*sliver
	oracle  *oracle.Oracle

	view      *gossip.View
	pace      gossip.Pace
	load      gossip.Load
	sources   gossip.Sources
	recent    []recent
	round     uint64 // of telling others what is recent
	beating   bool
	offering  bool // an attempt is on the clock
	sequence  uint64
	said      int // how often it had something new to say of itself
	neighbour []int32
	ready     bool          // it has pulled all that it is to begin with
	target    int           // offers that there were when it came; 0: it has nearly all of them
	meshed    time.Duration // when it found its first neighbours
	grafted   time.Duration // when its mesh carries messages
	hasty     bool          // a broken daemon, to see the checks notice: it answers before it has written
	broken    bool          // a promise of its was seen broken

	evil    *intruder // in the daemon's place; nil: it keeps the rules
	intake  gossip.Intake
	regards map[int]*regard

	live        *presence
	site        lease.Principal
	certificate []byte // the site's, that the node is its own

	conns    connections
	patience dht.Patience // with peers that are asked
	density  dht.Density  // as its look-ups show it
	indexed  *indexed     // nil: the index is not played
	sharded  *sharded     // nil: everybody hears everybody
	latest   *offer.Opened
	topics   *topical // nil: nobody speaks

	since time.Duration // when it came up last
	was   time.Duration // how long it was up before
	sent  uint64        // bytes

	sentOf [kinds]uint64 // of them
}

func (n *peer) principal() lease.Principal { return n.key.Principal() }

func (n *peer) wall() time.Time { return n.w.wall().Add(n.skew) }

// ledgerTime is as the daemon has it: carried on by the boot clock, never back.
func (n *peer) ledgerTime() time.Time {
	now := n.w.wall().Add(n.base)
	if now.Before(n.floor) {
		return n.floor
	}
	return now
}

func (n *peer) config() node.Config {
	at := n.w.profile.Place(n.index)
	return node.Config{Places: 64, Ledger: lease.LedgerConfig{Key: n.key, Pools: lease.DefaultPools(n.capacity()),
		Ports: lease.PortRange{First: 1024, Last: 1024 + uint16(at.CPU/100)}}}
}

// capacity is what the machine leases out.
func (n *peer) capacity() lease.RSet { return n.w.profile.Place(n.index).Capacity() }

// keyOf is the key of whoever has that name in a run of that seed.
func keyOf(seed uint64, name string) *sign.Key {
	b := binary.BigEndian.AppendUint64([]byte("croft sim world "), seed)
	return sign.FromSeed(sha256.Sum256(append(b, name...)))
}

// start brings the daemon up on what its disk has.
func (n *peer) start() {
	w := n.w
	if n.key == nil {
		n.key = keyOf(w.scn.Seed, fmt.Sprint("node ", n.index))
		n.oracle = oracle.New(oracle.Config{Lead: lease.DefaultNotice, Epoch: epoch, Open: lease.Open, Claim: w.claim})
	}
	n.core = node.NewCore(n.config())
	for i, r := range n.disk.synced {
		if err := n.core.Restore(r); err != nil {
			w.breach(n, fmt.Errorf("restoring record %d of %d: %w", i, len(n.disk.synced), err))
			return
		}
	}
	n.up, n.busy, n.inbox, n.tickSet, n.bar = true, false, nil, false, lease.ReasonNone
	n.life++
	n.answers, n.watch = map[uint64]func(lease.Answer){}, map[string][]func(sandbox.Changed){}
	n.base, n.floor = n.skew, time.Unix(n.core.Last(), 0)
	n.openIndex()
	n.view = gossip.NewView(gossip.ViewConfig{Cap: viewCap(w.scn), Open: w.open, Crowd: n.openShards()})
	n.pace, n.offering, n.neighbour, n.ready, n.target = gossip.Pace{}, false, nil, false, w.told
	n.load, n.sources, n.recent, n.beating = gossip.Load{}, gossip.Sources{}, nil, false
	n.intake, n.regards = gossip.Intake{}, nil
	n.since, n.meshed = w.now, w.scn.End
	w.count(+1)
	n.offers(+1)
	n.openPresence()
	n.openTopics()
	n.oracle.Restarted()
	n.give(node.Recover{})
}

// crash ends the daemon as kill -9 does; power ends the slivers too.
func (n *peer) crash(power bool) {
	n.w.died(n)
	n.end()
	size, cut, kept := n.disk.crash(n.w.rng)
	n.w.note(n.index, "crash power=%v cut=%d/%d", power, cut, size)
	for _, r := range kept {
		n.follow(r)
	}
	if power {
		for _, s := range n.slivers {
			n.runs(s, false)
		}
		n.slivers = nil
	}
}

// end is common to crashing and leaving.
func (n *peer) end() {
	n.up = false
	n.life++
	n.was += n.w.now - n.since
	n.w.figures.deaths.Left(n.w.now, n.index)
	n.w.count(-1)
	n.offers(-1)
	if n.ready {
		n.w.told--
	}
	n.core, n.view, n.inbox, n.busy, n.live = nil, nil, nil, false, nil
	n.answers, n.watch = nil, nil
	n.closeTopics()
	n.closeIndex()
	n.closeShards()
	n.w.silent(n)
}

// later has do happen if the daemon lives until then.
func (n *peer) later(d time.Duration, do func()) {
	life := n.life
	n.w.in(d, func() {
		if n.life == life {
			do()
		}
	})
}

// ask hands the core an input with a reference; done gets the answer once it is
// durable.
func (n *peer) ask(in func(ref uint64) node.Input, done func(lease.Answer)) {
	ref := n.w.ref()
	if n.evil != nil {
		n.answerWish(in(ref), done)
		return
	}
	n.answers[ref] = done
	n.give(in(ref))
}

// give hands the core an input.
func (n *peer) give(in node.Input) {
	n.inbox = append(n.inbox, in)
	n.work()
}

// work takes inputs while no frame is being written, as the daemon's loop does:
// facts are durable before anything else of a batch is done.
func (n *peer) work() {
	for len(n.inbox) > 0 && !n.busy && n.up {
		in := n.inbox[0]
		n.inbox = n.inbox[1:]
		if bar := n.barred(); bar != n.bar {
			n.bar = bar
			n.step(lease.Bar{Reason: bar})
			if n.busy {
				n.inbox = append([]node.Input{in}, n.inbox...)
				return
			}
		}
		n.step(in)
	}
	n.wake()
}

// barred is why nothing new is granted: the wall clock was stepped.
func (n *peer) barred() lease.Reason {
	if d := n.wall().Sub(n.ledgerTime()); d > 5*time.Second || d < -5*time.Second {
		return lease.ReasonClock
	}
	return lease.ReasonNone
}

func (n *peer) step(in node.Input) {
	w := n.w
	w.say(n.index, "<", in)
	n.oracle.Step()
	batch := n.core.Step(n.ledgerTime(), in)
	var records [][]byte
	for _, e := range batch {
		w.say(n.index, ">", e)
		if r, ok := node.Record(e); ok {
			records = append(records, r)
		}
	}
	if len(records) == 0 {
		n.perform(batch)
		return
	}
	n.busy = true
	n.disk.begin(records)
	if n.hasty {
		n.perform(batch)
		batch = nil
	}
	n.later(syncLeast+time.Duration(w.rng.Int64N(int64(syncMost-syncLeast))), func() {
		n.disk.sync()
		n.busy = false
		for _, r := range records {
			n.follow(r)
		}
		n.perform(batch)
		n.work()
	})
}

// follow tells the oracle of a record that is durable.
func (n *peer) follow(record []byte) {
	if record[0] != 'l' { // the lifecycle's
		return
	}
	f, err := lease.ParseFact(record[1:])
	if err != nil {
		n.w.breach(n, err)
		return
	}
	n.oracle.Follow(f)
	n.w.fact(f)
}

// perform does the rest of a batch, after which the books are looked at.
func (n *peer) perform(batch []node.Effect) {
	n.w.check(n)
	for _, e := range batch {
		switch e := e.(type) {
		case lease.Answer:
			for _, b := range e.Statements {
				if !n.oracle.Kept(b) {
					n.w.breach(n, fmt.Errorf("%w: a statement leaves before it is durable", oracle.ErrBroken))
				}
			}
			if done := n.answers[e.Ref]; done != nil {
				delete(n.answers, e.Ref)
				done(e)
			}
		case lease.Proved:
			n.w.proven(n, e.Proof)
		case lease.Changed:
			n.offer(false)
		case sandbox.Launch:
			n.launch(e)
		case sandbox.Adjust:
			n.adjust(e)
		case sandbox.Teardown:
			n.teardown(e)
		case sandbox.Changed:
			for _, see := range n.watch[e.Sliver] {
				see(e)
			}
		}
	}
}

// wake sets the clock by what the core waits for.
func (n *peer) wake() {
	if !n.up || n.busy || n.evil != nil {
		return
	}
	at, ok := n.core.NextWake()
	if !ok {
		return
	}
	when := n.w.now + max(at.Sub(n.w.wall().Add(n.base)), 0)
	if n.tickSet && n.tickAt <= when {
		return
	}
	n.tickSet, n.tickAt = true, when
	n.later(when-n.w.now, func() {
		if n.tickSet && n.tickAt == n.w.now {
			n.tickSet = false
			n.give(node.Tick{})
		}
	})
}

// Offers.

// offer has what the node offers be told if it is time, or sets the clock for it.
func (n *peer) offer(news bool) {
	if !n.up || !n.ready {
		return
	}
	made := n.bare()
	l := n.core.Ledger()
	from := n.ledgerTime().Unix()
	var free []offer.Free
	for _, rule := range l.Pools() {
		free = append(free, offer.Free{Pool: rule.Pool, RSet: l.Free(rule.Pool, lease.Term{From: from, Until: from + 600})})
	}
	n.here(&made)
	made.Fit(free)
	var sum lease.RSet
	for _, f := range made.Free {
		sum = sum.Plus(f.RSet)
	}
	n.pace.Changed(sum, made.Total, news)
	if n.live.must || n.pace.Due(n.wall()) {
		n.live.must = false
		n.pace.Published(n.wall())
		n.publish(made)
	}
	if at, ok := n.pace.NextWake(); ok && !n.offering {
		n.offering = true
		n.later(max(at.Sub(n.wall()), time.Millisecond), func() {
			n.offering = false
			n.offer(false)
		})
	}
}

func (n *peer) bare() offer.Offer {
	at, now, position := n.w.profile.Place(n.index), n.wall(), n.w.position(n.index)
	n.sequence = max(n.sequence+1, uint64(now.UnixMilli()))
	return offer.Offer{Node: n.principal(), Sequence: n.sequence, Made: now.Unix(), Until: now.Unix() + offer.MaxValid,
		Name: fmt.Sprintf("s%d/n%d", at.Site, n.index),
		Attributes: offer.Attributes{Country: at.Country, Region: at.Region, City: at.City, AS: at.AS, Kernel: "6.12.0", Arch: "amd64",
			Position: &position, Network: "public",
			Labels: map[string]string{"news": fmt.Sprint(n.said)}},
		Total: n.capacity(), Longest: 24 * 3600, Uptime: int64((n.w.now - n.since).Seconds())}
}

// position is where a node says that it is.
func (w *World) position(i int) offer.Position {
	at := w.profile.Place(i)
	return offer.Position{Lat: int32(at.Lat * 1000), Lon: int32(at.Lon * 1000)}
}
