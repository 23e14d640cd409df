// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"bytes"
	"slices"
	"time"

	"croft/lease"
	"croft/lease/offer"
)

// Sources is how well the neighbours answered pulls: who leaves out what everybody
// has is asked last.
//
// An offer is settled some minutes after it was made: whoever is well connected has
// it. A neighbour that lacks a settled offer which came to us by gossip has missed
// one. If we have it by a pull alone, from one neighbour, it may be that neighbour
// which kept it back to make others look bad; so nobody is blamed before a third
// has it too. What was missed is forgotten with time, and nothing follows from it
// but the order in which neighbours are asked: an honest one may just have come.
//
// The zero value is ready. It is not safe for concurrent use.
type Sources struct {
	of     map[lease.Principal]*source
	doubts map[head]*doubt
}

type source struct {
	pulled time.Time // the last time
	missed int
	since  time.Time // of the first that is counted
}

// doubt is a settled offer that one neighbour told and others did not.
type doubt struct {
	node     lease.Principal
	sequence uint64
	teller   lease.Principal
	lack     []lease.Principal
	at       time.Time
}

// Judge holds a pull that is over against what others told, and returns how many
// omissions it brought to light, and whose.
func (s *Sources) Judge(now time.Time, p *Pull) (omitted map[lease.Principal]int) {
	s.forget(now)
	omitted = map[lease.Principal]int{}
	if p.view.full() || p.view.cfg.Crowd != nil || !p.told {
		return omitted // honest views differ when they are full, or of areas
	}
	if n := p.asked - p.given; n > 0 {
		omitted[p.from] += n // it named what it does not give
	}
	for h, d := range s.doubts {
		switch {
		case p.from == d.teller:
		case !p.has(d.node, d.sequence):
			if !slices.Contains(d.lack, p.from) && len(d.lack) < maxLack {
				d.lack = append(d.lack, p.from)
			}
		case !slices.Contains(d.lack, p.from):
			for _, who := range d.lack {
				omitted[who]++
			}
			if e := p.view.entry(d.node); e != nil && e.offer.Sequence == d.sequence {
				e.sure = true
			}
			delete(s.doubts, h)
		}
	}
	for _, e := range p.view.order {
		o := e.offer
		holds := time.Unix(o.Until, 0).Sub(now) > offer.MaxSkew // by everybody's clock
		if (e.heard || e.sure) && holds && !o.Closed && settled(p.began, o.Made) && !p.has(o.Node, o.Sequence) {
			omitted[p.from]++
		}
	}
	s.doubt(now, p)
	if s.of == nil {
		s.of = map[lease.Principal]*source{}
	}
	if s.of[p.from] == nil && len(s.of) < maxSources {
		s.of[p.from] = &source{}
	}
	for who, n := range omitted {
		if from := s.of[who]; from != nil {
			if from.missed == 0 {
				from.since = now
			}
			from.missed += n
		}
	}
	if from := s.of[p.from]; from != nil {
		from.pulled = now
	}
	return omitted
}

// doubt notes the settled offers that a pull brought, and which neighbours had been
// asked before and did not tell of them.
func (s *Sources) doubt(now time.Time, p *Pull) {
	for _, n := range p.news {
		e := p.view.find(n.head)
		if e == nil || n.closed || !settled(p.began, n.made) || s.doubts[n.head] != nil || len(s.doubts) >= maxDoubts {
			continue
		}
		d := &doubt{node: e.offer.Node, sequence: n.sequence, teller: p.from, at: now}
		for who, from := range s.of {
			if who != p.from && !from.pulled.IsZero() && settled(from.pulled, n.made) {
				d.lack = append(d.lack, who)
			}
		}
		slices.SortFunc(d.lack, func(a, b lease.Principal) int { return bytes.Compare(a[:], b[:]) })
		d.lack = d.lack[:min(len(d.lack), maxLack)]
		if s.doubts == nil {
			s.doubts = map[head]*doubt{}
		}
		s.doubts[n.head] = d
	}
}

func settled(at time.Time, made int64) bool { return at.Sub(time.Unix(made, 0)) >= Settled }

// forget drops what is too old to matter.
func (s *Sources) forget(now time.Time) {
	for who, from := range s.of {
		if from.missed > 0 && now.Sub(from.since) >= Remembered {
			from.missed = 0
		}
		if from.missed == 0 && now.Sub(from.pulled) >= Remembered {
			delete(s.of, who)
		}
	}
	for h, d := range s.doubts {
		if now.Sub(d.at) >= Remembered {
			delete(s.doubts, h)
		}
	}
}

// Missed is how many omissions of a neighbour are remembered.
func (s *Sources) Missed(who lease.Principal) int {
	if from := s.of[who]; from != nil {
		return from.missed
	}
	return 0
}

// Choose returns the indices of those to ask, the ones that answered well: all of
// them if nobody did.
func (s *Sources) Choose(now time.Time, all []lease.Principal) (good []int) {
	s.forget(now)
	for i, who := range all {
		if s.Missed(who) < MaxMissed {
			good = append(good, i)
		}
	}
	if len(good) == 0 {
		for i := range all {
			good = append(good, i)
		}
	}
	return good
}
