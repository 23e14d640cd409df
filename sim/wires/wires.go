// SPDX-License-Identifier: Apache-2.0

// Package wires is what faults do to messages on their way, in every world that
// models a network: so that no two of them disagree about it.
//
// Connections repeat what is lost. Loss therefore shows as delay, twice as long for
// each try, until a connection is given up:
//
//	var faults wires.Faults
//	end := faults.Begin(&scenario.Loss{Rate: 0.1}, nil) // everybody's
//	sent, arrives := faults.Send(a, b, profile.OneWay(a, b), rng)
//
// Who cannot reach whom is for the worlds to know. Everything is drawn from the
// random numbers that come in, and the same ones give the same. Faults are not safe
// for use while one begins or ends; otherwise they are as safe as the random numbers.
package wires

import (
	"slices"
	"time"

	"croft/sim/scenario"
)

// Faults are those in force. The zero value has none.
type Faults struct {
	loss  []struck[*scenario.Loss]
	delay []struck[*scenario.Delay]
	late  []struck[*scenario.Reorder]
	twice []struck[*scenario.Duplicate]
}

// struck is a fault and whom it strikes.
type struck[F comparable] struct {
	fault F
	whom  []bool // by node; nil: everybody
}

// strikes reports whether a message between two nodes is struck: the wires of either
// are bad in both directions.
func (s struck[F]) strikes(a, b int) bool { return s.whom == nil || s.whom[a] || s.whom[b] }

// Begin has a fault in force on the wires of those nodes, or of everybody if there is
// no list, until end is called. It knows loss, delay, reordering and duplication.
func (f *Faults) Begin(fault scenario.Fault, whom []bool) (end func()) {
	switch fault := fault.(type) {
	case *scenario.Loss:
		return begin(&f.loss, fault, whom)
	case *scenario.Delay:
		return begin(&f.delay, fault, whom)
	case *scenario.Reorder:
		return begin(&f.late, fault, whom)
	case *scenario.Duplicate:
		return begin(&f.twice, fault, whom)
	}
	return func() {}
}

func begin[F comparable](list *[]struck[F], fault F, whom []bool) (end func()) {
	*list = append(*list, struck[F]{fault, whom})
	return func() {
		*list = slices.DeleteFunc(*list, func(s struck[F]) bool { return s.fault == fault })
	}
}

// Random is where chance comes from: a *rand.Rand of math/rand/v2.
type Random interface {
	Int64N(n int64) int64
	Float64() float64
}

// Sent is what becomes of a message.
type Sent struct {
	Takes    time.Duration // until it is there
	Repeated int           // packets of it that were lost and sent again
	Held     int           // faults that held it back behind later ones
}

// Send draws what becomes of a message from a to b, which are so far apart, one way.
// It does not arrive if its connection is given up over it.
func (f *Faults) Send(a, b int, way time.Duration, r Random) (s Sent, arrives bool) {
	s.Takes = way + time.Duration(r.Int64N(int64(way/queues+queueLeast)))
	for _, d := range f.delay {
		if d.strikes(a, b) {
			s.Takes += d.fault.By
			if d.fault.Jitter > 0 {
				s.Takes += time.Duration(r.Int64N(int64(d.fault.Jitter)))
			}
		}
	}
	for _, l := range f.loss {
		if !l.strikes(a, b) {
			continue
		}
		for try, wait := 0, 2*way+probe; r.Float64() < l.fault.Rate; try, wait = try+1, 2*wait {
			if try == maxTries {
				return s, false
			}
			s.Repeated++
			s.Takes += wait
		}
	}
	for _, l := range f.late {
		if l.strikes(a, b) && r.Float64() < l.fault.Rate {
			s.Held++
			s.Takes += l.fault.By
		}
	}
	return s, true
}

// Again draws how often a message from a to b comes once more.
func (f *Faults) Again(a, b int, r Random) (copies int) {
	for _, d := range f.twice {
		if d.strikes(a, b) && r.Float64() < d.fault.Rate {
			copies++
		}
	}
	return copies
}
