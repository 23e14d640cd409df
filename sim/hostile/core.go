// SPDX-License-Identifier: Apache-2.0

package hostile

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"croft/dht"
	"croft/gossip"
	"croft/lease"
	"croft/lease/judge"
	"croft/lease/offer"
	"croft/lease/sign"
)

// Kind is what a core does.
type Kind string

const (
	OverIssue   Kind = "overissue"
	FalseOffers Kind = "false-offers"
	Equivocate  Kind = "equivocate"
	Replay      Kind = "replay"
	Flood       Kind = "flood"
	Eclipse     Kind = "eclipse"
)

// Kinds are all of them, in the order in which a mixed gang deals them out.
var Kinds = []Kind{OverIssue, FalseOffers, Equivocate, Replay, Flood, Eclipse}

// Config is fixed for the life of a Core.
type Config struct {
	Kind Kind
	Key  *sign.Key
	Seed uint64
	Turn int // how many of its kind there were before: they share out the ways to go about it
	Gang *Gang

	Offer      offer.Offer       // what the node said of itself last
	Known      []*offer.Opened   // what it had heard, by node
	Neighbours []lease.Principal // in the mesh
	Tickets    []Ticket

	Open    func([]byte) (*offer.Opened, error)       // nil: offer.Open
	Contact func(lease.Principal) (dht.Contact, bool) // where a node is to be found
	Place   func(lease.Principal) dht.Key             // where a principal lies among the keys
	Closest func(dht.Key) []dht.Contact               // of its routing table; nil: it has none
	Address netip.Addr                                // its machine's
}

// Ticket is one that the node holds, and on which node it is.
type Ticket struct {
	Node  lease.Principal
	Chain [][]byte
}

// Core is one hostile node.
type Core struct {
	cfg      Config
	act      manner
	rng      *rand.Rand
	view     *gossip.View
	holder   *dht.Holder
	near     []lease.Principal
	contacts map[lease.Principal]dht.Contact
	hoard    [][]byte // offers, oldest first
	charges  [][]byte // suspicions
	wishes   [][][]byte
	accused  map[string]bool // suspicions that were passed on
	made     []*figment
	broken   []*broken
	sequence uint64
	turns    int
	next     time.Time
	out      []Effect
}

// manner is what a kind does in its own way. Of what is nil it does what all do.
type manner struct {
	every time.Duration
	mute  bool // passes nothing on
	turn  func(*Core, time.Time)
	page  func(*Core, time.Time, Pulled)
	echo  func(*Core, Probed)
	seek  func(*Core, time.Time, Sought)
	index func(*Core, time.Time, Indexed)
	wish  func(*Core, time.Time, Wished)
	told  func(*Core, time.Time, Answered)
}

var manners = map[Kind]manner{
	OverIssue:   {every: period, turn: (*Core).overIssue, wish: (*Core).grant, told: (*Core).commit},
	FalseOffers: {every: period, turn: (*Core).lie, echo: (*Core).misplace},
	Equivocate:  {every: 2 * period, turn: (*Core).equivocate},
	Replay:      {every: period, turn: (*Core).replay, page: (*Core).recall},
	Flood:       {every: floodPeriod, mute: true, turn: (*Core).flood},
	Eclipse:     {every: period, mute: true, turn: (*Core).surround, page: (*Core).withhold, seek: (*Core).mislead, index: (*Core).invent},
}

// New returns a core that has said nothing yet.
func New(cfg Config) *Core {
	c := &Core{cfg: cfg, act: manners[cfg.Kind], rng: rand.New(rand.NewPCG(cfg.Seed, 0x686f7374696c65)), view: gossip.NewView(gossip.ViewConfig{Open: cfg.Open}),
		holder: dht.NewHolder(dht.HolderConfig{Open: cfg.Open}), near: slices.Clone(cfg.Neighbours), contacts: map[lease.Principal]dht.Contact{}, accused: map[string]bool{}, sequence: cfg.Offer.Sequence}
	cfg.Gang.join(c)
	return c
}

// Step advances the core to now and applies one input.
func (c *Core) Step(now time.Time, in Input) []Effect {
	if c.next.IsZero() {
		for _, o := range c.cfg.Known {
			c.hear(now, o.Bytes, o.Node)
		}
		c.next = now.Add(time.Duration(c.rng.Int64N(int64(c.act.every))))
	}
	switch in := in.(type) {
	case Heard:
		c.heard(now, in)
	case Pulled:
		if c.act.page != nil {
			c.act.page(c, now, in)
		} else {
			c.send(Page{in.Ref, c.view.Page(now, in.Request)})
		}
	case Probed:
		if c.act.echo != nil {
			c.act.echo(c, in)
		} else {
			c.send(Echo{Ref: in.Ref, Coordinate: c.coordinate()})
		}
	case Sought:
		if c.act.seek != nil {
			c.act.seek(c, now, in)
		} else {
			c.send(Closer{in.Ref, c.closest(in.Target)})
		}
	case Indexed:
		if c.act.index != nil {
			c.act.index(c, now, in)
		} else {
			c.send(Held{in.Ref, c.hold(now, in.Request)})
		}
	case Wished:
		c.wished(now, in)
	case Answered:
		if c.act.told != nil {
			c.act.told(c, now, in)
		}
	case Given:
		c.cfg.Tickets = append(c.cfg.Tickets, in.Ticket)
	case Linked:
		if !slices.Contains(c.near, in.Peer) {
			c.near = append(c.near, in.Peer)
		}
	case Parted:
		c.near = slices.DeleteFunc(c.near, func(p lease.Principal) bool { return p == in.Peer })
	}
	for !c.next.After(now) {
		c.next = now.Add(c.act.every)
		c.act.turn(c, now)
		c.turns++
	}
	out := c.out
	c.out = nil
	return out
}

// NextWake reports when the core has a turn.
func (c *Core) NextWake() (time.Time, bool) { return c.next, true }

func (c *Core) send(e Effect) { c.out = append(c.out, e) }

// spread says something to all neighbours but one.
func (c *Core) spread(t Topic, b []byte, but lease.Principal) {
	for _, p := range c.near {
		if p != but {
			c.send(Gossip{p, t, b})
		}
	}
}

// heard follows gossip, and passes it on as others do unless it keeps everything back.
func (c *Core) heard(now time.Time, in Heard) {
	switch in.Topic {
	case Offers:
		if c.hear(now, in.Bytes, in.From) && !c.act.mute {
			c.spread(Offers, in.Bytes, in.From)
		}
	case Suspicions:
		if c.accused[string(in.Bytes)] || len(c.accused) >= maxHoard {
			return
		}
		c.accused[string(in.Bytes)] = true
		c.charges = append(c.charges, in.Bytes)
		if !c.act.mute {
			c.spread(Suspicions, in.Bytes, in.From)
		}
	}
}

// hear takes an offer into its own view, and keeps some for later.
func (c *Core) hear(now time.Time, b []byte, from lease.Principal) (news bool) {
	v := c.view.Step(now, gossip.Received{Bytes: b, From: from})[0].(gossip.Verdict)
	if v.Judgement != judge.Accept {
		return false
	}
	if len(c.hoard) < maxHoard {
		c.hoard = append(c.hoard, b)
	} else {
		c.hoard[c.rng.IntN(maxHoard)] = b
	}
	return true
}

// hold answers as an honest holder does.
func (c *Core) hold(now time.Time, req dht.Request) dht.Response {
	return c.holder.Step(now, req.Input(c.cfg.Address))[0].(dht.Answer).Response
}

// wished answers in a channel: who has nothing better to say says nothing.
func (c *Core) wished(now time.Time, in Wished) {
	if w, ok := in.In.(lease.Wish); ok && len(c.wishes) < maxHoard {
		c.wishes = append(c.wishes, w.Chain)
	}
	if c.act.wish != nil {
		c.act.wish(c, now, in)
	}
}

// coordinate is what the node last said, or the middle of nowhere.
func (c *Core) coordinate() offer.Coordinate {
	if at := c.cfg.Offer.Coordinate; at != nil {
		return *at
	}
	return offer.Coordinate{Error: offer.MaxError}
}

// seal signs an offer that begins now, of a sequence that no older one has.
func (c *Core) seal(now time.Time, o offer.Offer, key *sign.Key) ([]byte, bool) {
	o.Node, o.Made, o.Until = key.Principal(), now.Unix(), now.Unix()+offer.MaxValid
	signed, err := offer.Seal(&o, key)
	return signed.Bytes, err == nil
}

// newer returns the node's next sequence.
func (c *Core) newer(now time.Time) uint64 {
	c.sequence = max(c.sequence+1, uint64(now.UnixMilli()))
	return c.sequence
}

// contact is where a node is to be found, remembered: it takes a hash.
func (c *Core) contact(p lease.Principal) (dht.Contact, bool) {
	known, ok := c.contacts[p]
	if !ok {
		if known, ok = c.cfg.Contact(p); ok {
			c.contacts[p] = known
		}
	}
	return known, ok
}

// nearest returns those of the view whose places are nearest to a target.
func (c *Core) nearest(target dht.Key, n int) []lease.Principal {
	type at struct {
		who      lease.Principal
		distance dht.Key
	}
	var all []at
	for _, e := range c.view.Entries() {
		if k, ok := c.contact(e.Offer.Node); ok {
			all = append(all, at{e.Offer.Node, distance(k.Key, target)})
		}
	}
	slices.SortFunc(all, func(a, b at) int { return bytes.Compare(a.distance[:], b.distance[:]) })
	list := make([]lease.Principal, 0, n)
	for _, a := range all[:min(n, len(all))] {
		list = append(list, a.who)
	}
	return list
}

// closest is what an honest peer answers.
func (c *Core) closest(target dht.Key) []dht.Contact {
	if c.cfg.Closest == nil {
		return nil
	}
	return c.cfg.Closest(target)
}

// others are the nodes of the view that are no accomplices.
func (c *Core) others() (list []lease.Principal) {
	for _, e := range c.view.Entries() {
		if !c.cfg.Gang.Has(e.Offer.Node) {
			list = append(list, e.Offer.Node)
		}
	}
	return list
}

func distance(a, b dht.Key) (d dht.Key) {
	for i := range a {
		d[i] = a[i] ^ b[i]
	}
	return d
}
