// SPDX-License-Identifier: Apache-2.0

package net

import (
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Questions counts what one sliver asked of the node's resolver. Asked is the
// sum of the other four. The node sends a question on for the sliver: UpBytes
// and DownBytes are what that cost, in L3 octets, and what it was charged.
type Questions struct {
	Place     int
	Asked     uint64
	Answered  uint64 // by an upstream, whatever it said
	Local     uint64 // at once: malformed, not asked for here, private zone
	Refused   uint64 // over the resolver's rate, its questions in flight, or the lease
	Failed    uint64 // no upstream answered
	Screened  uint64 // records taken out that named closed addresses
	UpBytes   uint64
	DownBytes uint64
}

// askers keeps slivers apart at the resolver.
type askers struct {
	mu  sync.Mutex
	all map[netip.Addr]*asker
}

type asker struct {
	count    Questions
	tokens   float64 // questions, as of filled
	filled   time.Time
	again    float64 // questions over TCP, as of renewed
	renewed  time.Time
	inFlight int
	conns    int
}

// get returns the asker at an address; mu is held. Only addresses of places
// get here, so that there are never more than places.
func (as *askers) get(from netip.Addr, place int) *asker {
	if as.all == nil {
		as.all = map[netip.Addr]*asker{}
	}
	a := as.all[from]
	if a == nil {
		a = &asker{count: Questions{Place: place}, tokens: dnsBurst, again: dnsAgainBurst}
		as.all[from] = a
	}
	return a
}

// begin takes a question in, or refuses it.
func (as *askers) begin(from netip.Addr, place int, now time.Time) bool {
	as.mu.Lock()
	defer as.mu.Unlock()
	a := as.get(from, place)
	a.count.Asked++
	if !a.filled.IsZero() {
		a.tokens = min(dnsBurst, a.tokens+now.Sub(a.filled).Seconds()*dnsRate)
	}
	a.filled = now
	if a.tokens < 1 || a.inFlight >= dnsInFlight {
		a.count.Refused++
		return false
	}
	a.tokens--
	a.inFlight++
	return true
}

// retry lets an upstream be asked again over TCP, or not.
func (as *askers) retry(from netip.Addr, place int, now time.Time) bool {
	as.mu.Lock()
	defer as.mu.Unlock()
	a := as.get(from, place)
	if !a.renewed.IsZero() {
		a.again = min(dnsAgainBurst, a.again+now.Sub(a.renewed).Seconds()*dnsAgainRate)
	}
	a.renewed = now
	if a.again < 1 {
		return false
	}
	a.again--
	return true
}

// end closes what begin took in.
func (as *askers) end(from netip.Addr, place int, add func(*Questions)) {
	as.mu.Lock()
	defer as.mu.Unlock()
	a := as.get(from, place)
	a.inFlight = max(a.inFlight-1, 0)
	add(&a.count)
}

func (as *askers) connect(from netip.Addr, place int) bool {
	as.mu.Lock()
	defer as.mu.Unlock()
	a := as.get(from, place)
	if a.conns >= dnsConns {
		return false
	}
	a.conns++
	return true
}

func (as *askers) disconnect(from netip.Addr, place int) {
	as.mu.Lock()
	defer as.mu.Unlock()
	a := as.get(from, place)
	a.conns = max(a.conns-1, 0)
}

// forget ends the count of who left a place.
func (as *askers) forget(from netip.Addr) {
	as.mu.Lock()
	defer as.mu.Unlock()
	delete(as.all, from)
}

func (as *askers) counts() []Questions {
	as.mu.Lock()
	defer as.mu.Unlock()
	var all []Questions
	for _, a := range as.all {
		all = append(all, a.count)
	}
	slices.SortFunc(all, func(a, b Questions) int { return a.Place - b.Place })
	return all
}
