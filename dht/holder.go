// SPDX-License-Identifier: Apache-2.0

package dht

import (
	"bytes"
	"net/netip"
	"slices"
	"time"

	"croft/lease"
	"croft/lease/offer"
)

// HolderConfig is fixed for the life of a Holder. Zero fields are the limits of
// this package.
type HolderConfig struct {
	Check offer.CheckCertificate // nil: sites are taken as claimed
	// Open reads an offer as [offer.Open] with Check does, which it is if nil. Who
	// has many holders in one process gives them what remembers.
	Open       func([]byte) (*offer.Opened, error)
	PerNetwork int // a lab, where all share one network, opens it
	PerSite    int
	PerBucket  int // a test splits buckets with few offers
}

// Holder keeps the buckets that lie near it. An offer is kept once for its
// node, however many buckets it is in.
type Holder struct {
	cfg     HolderConfig
	nodes   map[lease.Principal]*held
	buckets map[Key]*shelf
	entries int       // over all buckets
	wake    time.Time // nothing expires before; zero when there is nothing
}

type held struct {
	offer   *offer.Opened // not to be changed: others may have it too
	network netip.Prefix
	in      []Key
}

// NewHolder returns a holder of nothing.
func NewHolder(cfg HolderConfig) *Holder {
	if cfg.PerNetwork <= 0 {
		cfg.PerNetwork = PerNetwork
	}
	if cfg.PerSite <= 0 {
		cfg.PerSite = PerSite
	}
	if cfg.PerBucket <= 0 {
		cfg.PerBucket = MaxEntries
	}
	return &Holder{cfg: cfg, nodes: map[lease.Principal]*held{}, buckets: map[Key]*shelf{}}
}

// Step advances the holder to now and applies one input. The answer to a
// request is the first effect.
func (h *Holder) Step(now time.Time, in Input) []Effect {
	expired := h.expire(now)
	var answer Response
	switch in := in.(type) {
	case Register:
		answer = h.register(now, in)
	case Withdraw:
		answer = h.withdraw(now, in)
	case List:
		answer = h.list(now, in)
	default:
		return expired
	}
	return append([]Effect{Answer{answer}}, expired...)
}

// NextWake reports when the next offer may expire.
func (h *Holder) NextWake() (time.Time, bool) { return h.wake, !h.wake.IsZero() }

// Input turns a request as it travels into an input.
func (r Request) Input(from netip.Addr) Input {
	switch r.Op {
	case OpRegister:
		return Register{Offer: r.Offer, Buckets: r.Buckets, From: from}
	case OpWithdraw:
		return Withdraw{Offer: r.Offer}
	}
	return List{Bucket: r.Buckets[0], After: r.After, Limit: int(r.Limit)}
}

// OpenOffer reads an offer as the holder does.
func (c HolderConfig) OpenOffer(b []byte) (*offer.Opened, error) {
	if c.Open != nil {
		return c.Open(b)
	}
	o, err := offer.Open(b, c.Check)
	return &o, err
}

func (h *Holder) open(now time.Time, b []byte) (*offer.Opened, bool) {
	o, err := h.cfg.OpenOffer(b)
	return o, err == nil && o.Fresh(now) == nil
}

func (h *Holder) register(now time.Time, in Register) (answer Response) {
	answer.Status = make([]Status, len(in.Buckets))
	all := func(s Status) Response {
		for i := range answer.Status {
			answer.Status[i] = s
		}
		return answer
	}
	o, ok := h.open(now, in.Offer)
	if !ok || o.Closed || len(in.Buckets) > MaxBuckets {
		return all(Invalid)
	}
	node := h.nodes[o.Node]
	if node != nil && (o.Sequence < node.offer.Sequence || o.Sequence == node.offer.Sequence && o.ID != node.offer.ID) {
		return all(Stale)
	}
	if node == nil {
		node = &held{offer: o, network: Network(in.From)}
	}
	// The newer offer takes the older one's place wherever it still belongs, and
	// leaves the buckets where it does not.
	belongs := placesOf(&o.Offer)
	was := slices.Clone(node.in)
	if o.ID != node.offer.ID { // the same again: whoever brings it does not change where it came from
		node.offer, node.network = o, Network(in.From)
	}
	for _, k := range was {
		if !belongs.has(k) {
			h.drop(k, node)
		}
	}
	for i, k := range in.Buckets {
		switch {
		case !belongs.has(k) && slices.Contains(was, k):
			answer.Status[i] = Moved
		case !belongs.has(k):
			answer.Status[i] = Alien
		default:
			answer.Status[i] = h.put(k, node)
		}
	}
	if len(node.in) > 0 {
		h.nodes[o.Node] = node
		h.wakeAt(o.Until)
	} else {
		delete(h.nodes, o.Node)
	}
	return answer
}

func (h *Holder) put(k Key, node *held) Status {
	s := h.buckets[k]
	if s == nil {
		s = &shelf{offers: map[lease.Principal]*held{}}
	}
	if s.offers[node.offer.Node] != nil {
		return Stored
	}
	if s.full(h.cfg.PerBucket) {
		s.parts = max(s.parts, node.offer.Until)
		h.wakeAt(s.parts)
		return Full
	}
	if h.entries >= MaxHeld || len(node.in) >= MaxPlaces {
		return Busy
	}
	sameNetwork, sameSite := 0, 0
	for _, e := range s.offers {
		if e.network == node.network {
			sameNetwork++
		}
		if e.offer.Site == node.offer.Site && !e.offer.Site.IsZero() {
			sameSite++
		}
	}
	if sameNetwork >= h.cfg.PerNetwork || sameSite >= h.cfg.PerSite {
		return Crowded
	}
	h.buckets[k] = s
	s.offers[node.offer.Node] = node
	node.in = append(node.in, k)
	h.entries++
	return Stored
}

// drop takes a node off a shelf. An empty one is kept as long as it has to send
// readers to its parts, if there is room for its memory.
func (h *Holder) drop(k Key, node *held) {
	s := h.buckets[k]
	delete(s.offers, node.offer.Node)
	s.left(h.cfg.PerBucket)
	if len(s.offers) == 0 && (s.parts == 0 || len(h.buckets) > MaxHeld) {
		delete(h.buckets, k)
	}
	node.in = slices.DeleteFunc(node.in, func(in Key) bool { return in == k })
	h.entries--
}

// withdraw keeps the closed offer in the node's buckets until it expires: a
// seeker then learns of the withdrawal even if another holder missed it, and an
// older offer does not come back.
func (h *Holder) withdraw(now time.Time, in Withdraw) Response {
	o, ok := h.open(now, in.Offer)
	if !ok || !o.Closed {
		return Response{Status: []Status{Invalid}}
	}
	node := h.nodes[o.Node]
	switch {
	case node == nil:
		return Response{Status: []Status{Unknown}}
	case o.ID == node.offer.ID:
		return Response{Status: []Status{Removed}}
	case o.Sequence <= node.offer.Sequence:
		return Response{Status: []Status{Stale}}
	}
	node.offer = o
	h.wakeAt(o.Until)
	return Response{Status: []Status{Removed}}
}

// Entries returns the number of bucket entries held, for `croft net`.
func (h *Holder) Entries() int { return h.entries }

func (h *Holder) wakeAt(until int64) {
	if at := time.Unix(until, 0); h.wake.IsZero() || at.Before(h.wake) {
		h.wake = at
	}
}

func (h *Holder) expire(now time.Time) []Effect {
	if h.wake.IsZero() || now.Before(h.wake) {
		return nil
	}
	nodes := make([]lease.Principal, 0, len(h.nodes))
	for n := range h.nodes {
		nodes = append(nodes, n)
	}
	slices.SortFunc(nodes, func(a, b lease.Principal) int { return bytes.Compare(a[:], b[:]) })
	h.wake = time.Time{}
	var effects []Effect
	for _, n := range nodes {
		e := h.nodes[n]
		if now.Unix() < e.offer.Until {
			h.wakeAt(e.offer.Until)
			continue
		}
		for _, k := range slices.Clone(e.in) {
			h.drop(k, e)
		}
		delete(h.nodes, n)
		effects = append(effects, Expired{n})
	}
	for k, s := range h.buckets {
		if s.parted(now.Unix()) {
			h.wakeAt(s.parts)
			continue
		}
		if s.parts = 0; len(s.offers) == 0 {
			delete(h.buckets, k)
		}
	}
	return effects
}

// Network is what counts as one source: a /24 of IPv4, a /48 of IPv6.
func Network(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := 48
	if a.Is4() {
		bits = 24
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // no address: relayed, or local
	}
	return p
}
