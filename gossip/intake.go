// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"net/netip"
	"time"

	"croft/lease"
)

// Intake bounds what neighbours can make a node look at, and send.
//
// A message that is over its neighbour's allowance is dropped before anything of it
// is remembered: the allowance, not the line, bounds signature checks and what is
// kept of ids. Honest neighbours stay below it, and what is dropped of them is
// pulled later. The same goes for answers, by bytes and for each kind of them, so
// that nobody has a node upload its view again and again; what a source network gets
// first is not of what all share, so that others cannot use it up.
//
// The zero value is ready. It is not safe for concurrent use.
type Intake struct {
	messages, slices rations[lease.Principal]
	answers          [kinds]answers
	over             map[lease.Principal]time.Time
}

// Kind is of what an answer is: each has its own allowances.
type Kind int

const (
	Views Kind = iota // and proofs
	OptOuts
	Meetings
	kinds
)

// answers are the bytes that may be sent of one kind.
type answers struct {
	keys  rations[lease.Principal]
	first rations[netip.Prefix]
}

// Take reports whether a neighbour's next n messages may be looked at.
func (i *Intake) Take(now time.Time, from lease.Principal, n int) bool {
	i.messages.each = limit{MessageBurst, MessageRate}
	if n == 0 || i.messages.spend(now, from, n) {
		return true
	}
	if i.over == nil {
		i.over = map[lease.Principal]time.Time{}
	}
	for who, at := range i.over {
		if now.Sub(at) >= Remembered {
			delete(i.over, who)
		}
	}
	if len(i.over) < maxSenders {
		i.over[from] = now
	}
	return false
}

// Carry reports whether so many bytes more on topics of slices may be looked at. They
// are apart from the others, and who sends too much is in nobody's way: what is over
// is lost, as slices have no pulls.
func (i *Intake) Carry(now time.Time, from lease.Principal, bytes int) bool {
	i.slices.each = limit{SliceBurst, SliceRate}
	return i.slices.spend(now, from, bytes)
}

// Over reports whether a neighbour has sent more than it may within the last
// minutes: it should not be one of those that messages are passed on to.
func (i *Intake) Over(now time.Time, from lease.Principal) bool {
	at, ok := i.over[from]
	return ok && now.Sub(at) < Remembered
}

// Answer reports whether a neighbour of a source network that asks may be sent so
// many bytes more.
func (i *Intake) Answer(now time.Time, kind Kind, to lease.Principal, from netip.Prefix, bytes int) bool {
	a := &i.answers[kind]
	a.keys.each, a.keys.together = limit{AnswerBurst, AnswerRate}, limit{AnswerBurstAll, AnswerRateAll}
	a.first.each = limit{AnswerBurstFirst, AnswerRateFirst}
	own := a.keys.own(now, to)
	if own.left >= bytes && a.first.spend(now, from, bytes) {
		own.left -= bytes
		return true
	}
	return a.keys.spend(now, to, bytes)
}
