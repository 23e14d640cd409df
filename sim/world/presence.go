// SPDX-License-Identifier: Apache-2.0

package world

import (
	"fmt"
	"time"

	"croft/gossip"
	"croft/gossip/alive"
	"croft/gossip/vivaldi"
	"croft/lease"
	"croft/lease/judge"
	"croft/lease/offer"
	"croft/lease/sign"
	"croft/sim/report"
)

// presence is what a node knows of which others are there, and where it is itself:
// the machines, and a model of the probes. A connection to whom it probes is there,
// and the exchanges of a probe are one.
type presence struct {
	watch  *alive.Watch
	place  *vivaldi.Estimator
	tickAt time.Duration // when it will be woken, if ticks
	ticks  bool
	must   bool         // a newer offer is due whatever the pace says
	was    map[int]bool // whom it leaves out, as the figures have heard
}

const (
	// probeBytes and echoBytes are what a probe and its answer take on the wire, with
	// a stream's opening and the name of the protocol.
	probeBytes, echoBytes = 160, 140
)

// openPresence begins with the daemon.
func (n *peer) openPresence() {
	w := n.w
	n.live = &presence{was: map[int]bool{}, place: vivaldi.New(vivaldi.Config{Seed: w.scn.Seed<<20 + uint64(n.index)})}
	n.live.watch = alive.NewWatch(alive.Config{Self: n.principal(), Key: n.key, Offer: n.view.Offer, Verify: w.verify,
		Phase: time.Duration(w.rng.Int64N(int64(alive.Period)))})
	w.known[n.principal()] = n.index
	w.returned(n)
	n.look(alive.Tick{})
	n.roam()
}

// verify is the memory of suspicions whose signatures were checked.
func (w *World) verify(s alive.Sealed) error {
	if err, ok := w.verified[&s.Bytes[0]]; ok {
		return err
	}
	err := s.Verify()
	w.verified[&s.Bytes[0]] = err
	return err
}

// heard follows the view.
func (n *peer) heard(effects []gossip.Effect) {
	for _, e := range effects {
		switch e := e.(type) {
		case gossip.Stored:
			if e.Offer.Closed {
				n.look(alive.Gone{Node: e.Offer.Node})
			} else {
				n.look(alive.Heard{Node: e.Offer.Node, Sequence: e.Offer.Sequence})
			}
		case gossip.Evicted:
			n.look(alive.Gone{Node: e.Node})
		case gossip.Equivocated:
			n.w.equivocated(n, e.Node)
		}
	}
}

// look steps the watch and does what comes of it.
func (n *peer) look(in alive.Input) (verdict alive.Verdict) {
	w := n.w
	for _, e := range n.live.watch.Step(n.wall(), in) {
		if _, quiet := e.(alive.Probe); !quiet {
			w.say(n.index, "!", e)
		}
		switch e := e.(type) {
		case alive.Verdict:
			verdict = e
		case alive.Probe:
			n.probe(e)
		case alive.Publish:
			if i, ok := w.known[e.Node]; ok {
				w.suspected(n, i)
			}
			w.spread(&rumour{at: w.now, bytes: e.Bytes, seen: make([]bool, len(w.nodes))}, n, -1)
		case alive.Refute:
			n.live.must = true
			n.offer(false)
		case alive.Changed:
			if i, ok := w.known[e.Node]; ok {
				w.stands(n, i, e.Standing)
			}
		}
	}
	n.lookAgain()
	return verdict
}

// lookAgain sets the clock by what the watch waits for.
func (n *peer) lookAgain() {
	at, ok := n.live.watch.NextWake()
	if !ok {
		return
	}
	when := n.w.now + max(at.Sub(n.wall()), time.Microsecond)
	if p := n.live; !p.ticks || when < p.tickAt {
		p.ticks, p.tickAt = true, when
		n.later(when-n.w.now, func() {
			if p.ticks && p.tickAt == n.w.now {
				p.ticks = false
				n.look(alive.Tick{})
			}
		})
	}
}

func (n *peer) probe(p alive.Probe) {
	to, ok := n.w.known[p.Node]
	if !ok {
		return // it was made up
	}
	n.sample(to, p.Suspicion, func() { n.look(alive.Answered{Ref: p.Ref}) })
}

// sample asks another where it is, and learns from the answer.
func (n *peer) sample(to int, suspicion []byte, done func()) {
	w, life, sent := n.w, n.life, n.w.now
	w.figures.probes.Add(w.now, 1)
	w.send(n.index, to, probeBytes+len(suspicion), func() {
		o := w.nodes[to]
		if !o.up {
			return
		}
		if suspicion != nil && o.evil == nil {
			o.look(alive.Received{Bytes: suspicion})
		}
		there, ok := o.answerProbe(n, suspicion)
		if !ok {
			return
		}
		w.send(to, n.index, echoBytes, func() {
			if n.life != life || w.now-sent > alive.Timeout {
				return
			}
			least := offer.Light(n.position(), o.position())
			w.figures.sampled(w.now, n.live.place.Sample(o.principal(), w.now-sent, least, &there))
			done()
		})
	})
}

// roam samples the way to a node at random once in a period.
func (n *peer) roam() {
	n.later(alive.Period, func() {
		w := n.w
		for range 4 { // a draw may be of who is not there
			if i := w.rng.IntN(len(w.nodes)); i != n.index && w.nodes[i].up && n.view.Has(w.nodes[i].principal()) {
				n.sample(i, nil, func() {})
				break
			}
		}
		n.roam()
	})
}

func (n *peer) position() *offer.Position {
	at := n.w.profile.Place(n.index)
	return &offer.Position{Lat: int32(at.Lat * 1000), Lon: int32(at.Lon * 1000)}
}

// here adds to an offer where the node is, and whose it is: every site certifies
// its nodes.
func (n *peer) here(o *offer.Offer) {
	if c, ok := n.live.place.Coordinate(); ok {
		o.Coordinate = &c
	}
	if n.certificate == nil {
		name := fmt.Sprintf("s%d", n.w.profile.Place(n.index).Site)
		site := keyOf(n.w.scn.Seed, "site "+name)
		signed, err := sign.SealSite(sign.SiteCert{Site: site.Principal(), Node: n.principal(), From: epoch - 86_400, Until: epoch + 366*86_400, Name: name}, site)
		if err != nil {
			n.w.breach(n, err)
			return
		}
		n.site, n.certificate = site.Principal(), signed.Bytes()
	}
	o.Site, o.Certificate = n.site, n.certificate
}

// checkSite is how an offer's certificate is judged, by the true time.
func (w *World) checkSite(site, node lease.Principal, certificate []byte) error {
	c, err := sign.OpenSite(certificate)
	if err == nil && c.Site != site {
		err = lease.ErrNotHolder
	}
	if err == nil {
		err = c.Holds(node, w.wall().Unix())
	}
	return err
}

// rumour is a suspicion on its way. It floods as offers do.
type rumour struct {
	at    time.Duration
	bytes []byte
	seen  []bool
}

func (w *World) spread(m *rumour, n *peer, from int) {
	m.seen[n.index] = true
	for _, i := range n.neighbour {
		to := int(i)
		if to == from {
			continue
		}
		n.spend(w.figures.gossiped, len(m.bytes)+envelope)
		if m.seen[to] {
			continue
		}
		w.arrive(n.index, to, func() { w.suggest(m, to, n.index) })
	}
}

// believe has a node look at a suspicion, and pass it on if it is news.
func (w *World) believe(m *rumour, o *peer, from int) {
	v := o.look(alive.Received{Bytes: m.bytes})
	if v.Judgement == judge.Accept {
		w.spread(m, o, from)
		return
	}
	o.judged(w.nodes[from], v.Judgement)
	w.figures.Counter("suspicions", string(v.Reason)).Add(w.now, 1)
}

// watched are the figures of who is there.
type watched struct {
	detection              *report.Measure
	told, falsely, leftOut *report.Counter
	probes                 *report.Counter
	impossible, outliers   *report.Counter
}

func newWatched(r *report.Recorder) watched {
	return watched{detection: r.Measure("detection", ""), told: r.Counter("suspicions", "told"), falsely: r.Counter("suspicions", "false"),
		leftOut: r.Counter("suspicions", "left out though there"), probes: r.Counter("messages", "probes"),
		impossible: r.Counter("samples", "impossible"), outliers: r.Counter("samples", "outliers")}
}

func (f watched) sampled(now time.Duration, what vivaldi.Outcome) {
	switch what {
	case vivaldi.Impossible:
		f.impossible.Add(now, 1)
	case vivaldi.Outlier:
		f.outliers.Add(now, 1)
	}
}
