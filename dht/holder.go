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
	Check      offer.CheckCertificate // nil: sites are taken as claimed
	PerNetwork int                    // a lab, where all share one network, opens it
	PerSite    int

	// Open reads an offer as [offer.Open] with Check does, which it is if nil: see
	// gossip.ViewConfig.
	Open func([]byte) (*offer.Opened, error)
}

// Holder keeps the buckets that lie near it. An offer is kept once for its
// node, however many buckets it is in.
type Holder struct {
	cfg     HolderConfig
	nodes   map[lease.Principal]*held
	buckets map[Key]map[lease.Principal]*held
	entries int       // over all buckets
	wake    time.Time // nothing expires before; zero when there is nothing
}

type held struct {
	offer   offer.Opened
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
	return &Holder{cfg: cfg, nodes: map[lease.Principal]*held{}, buckets: map[Key]map[lease.Principal]*held{}}
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
		answer = h.list(in)
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

func (h *Holder) open(now time.Time, b []byte) (offer.Opened, bool) {
	if h.cfg.Open != nil {
		o, err := h.cfg.Open(b)
		return *o, err == nil && o.Fresh(now) == nil
	}
	o, err := offer.Open(b, h.cfg.Check)
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
		node = &held{}
	}
	// The newer offer takes the older one's place wherever it still belongs, and
	// leaves the buckets where it does not.
	belongs := Keys(Buckets(&o.Offer))
	was := slices.Clone(node.in)
	if o.ID != node.offer.ID { // the same again: whoever brings it does not change where it came from
		node.offer, node.network = o, network(in.From)
	}
	for _, k := range was {
		if !slices.Contains(belongs, k) {
			h.drop(k, node)
		}
	}
	for i, k := range in.Buckets {
		switch {
		case !slices.Contains(belongs, k) && slices.Contains(was, k):
			answer.Status[i] = Moved
		case !slices.Contains(belongs, k):
			answer.Status[i] = Alien
		default:
			answer.Status[i] = h.put(k, node)
		}
		if answer.Status[i] == Full {
			answer.Depth = 1
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
	b := h.buckets[k]
	if b[node.offer.Node] != nil {
		return Stored
	}
	if len(b) >= MaxEntries {
		return Full
	}
	if h.entries >= MaxHeld {
		return Busy
	}
	sameNetwork, sameSite := 0, 0
	for _, e := range b {
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
	if b == nil {
		b = map[lease.Principal]*held{}
		h.buckets[k] = b
	}
	b[node.offer.Node] = node
	node.in = append(node.in, k)
	h.entries++
	return Stored
}

func (h *Holder) drop(k Key, node *held) {
	delete(h.buckets[k], node.offer.Node)
	if len(h.buckets[k]) == 0 {
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

func (h *Holder) list(in List) (answer Response) {
	b := h.buckets[in.Bucket]
	answer.Size = uint32(len(b))
	nodes := make([]lease.Principal, 0, len(b))
	for n := range b {
		if bytes.Compare(n[:], in.After[:]) > 0 {
			nodes = append(nodes, n)
		}
	}
	slices.SortFunc(nodes, func(a, b lease.Principal) int { return bytes.Compare(a[:], b[:]) })
	limit := min(max(in.Limit, 0), PageEntries)
	for _, n := range nodes[:min(limit, len(nodes))] {
		answer.Offers = append(answer.Offers, b[n].offer.Bytes)
	}
	if limit > 0 && len(nodes) > limit {
		answer.After = nodes[limit-1]
	}
	return answer
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
	return effects
}

// network is what counts as one source: a /24 of IPv4, a /48 of IPv6.
func network(a netip.Addr) netip.Prefix {
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
