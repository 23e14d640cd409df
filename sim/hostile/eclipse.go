// SPDX-License-Identifier: Apache-2.0

package hostile

import (
	"crypto/sha256"
	"slices"
	"strings"
	"time"

	"croft/dht"
	"croft/gossip"
	"croft/gossip/alive"
	"croft/lease"
	"croft/lease/offer"
)

// placeOf is where libp2p puts a key.
func placeOf(key dht.Key) dht.Key { return sha256.Sum256(key[:]) }

// surround clings to the mesh of others, stands near the keys that are asked for most,
// and says of whom comes after it that they are gone.
func (c *Core) surround(now time.Time) {
	g := c.cfg.Gang
	if c.turns == 0 {
		targets := []dht.Bucket{dht.Every, {Attr: "country", Value: c.popular()}}
		b := targets[c.cfg.Turn%2]
		b.Seat = c.cfg.Turn / 2 % 2 // to have the next one too
		g.settle(c, placeOf(b.Key()))
	}
	if c.turns%6 == 0 {
		o := c.cfg.Offer
		o.Sequence = c.newer(now)
		if b, ok := c.seal(now, o, c.cfg.Key); ok {
			c.hear(now, b, c.cfg.Key.Principal())
			c.spread(Offers, b, lease.Principal{})
		}
	}
	others := c.others()
	for range 4 {
		if len(others) > 0 && len(c.near) < links {
			c.send(Link{others[c.rng.IntN(len(others))]})
		}
	}
	c.slander(now, others)
}

// popular is the country with most nodes, as buckets have it.
func (c *Core) popular() (most string) {
	count := map[string]int{}
	for _, e := range c.view.Entries() {
		at := strings.ToLower(e.Offer.Attributes.Country)
		if count[at]++; count[at] > count[most] {
			most = at
		}
	}
	return most
}

// slander accuses the next few by the order of ids: only those would be believed.
func (c *Core) slander(now time.Time, others []lease.Principal) {
	self := c.cfg.Key.Principal()
	i, _ := slices.BinarySearchFunc(others, self, func(a, b lease.Principal) int { return slices.Compare(a[:], b[:]) })
	for n := range min(alive.Neighbours, len(others)) {
		victim := others[(i+n)%len(others)]
		o, ok := c.view.Offer(victim)
		if !ok {
			continue
		}
		s, err := alive.Seal(alive.Suspicion{By: self, Node: victim, Sequence: o.Sequence, Made: now.Unix()}, c.cfg.Key)
		if err == nil {
			c.spread(Suspicions, s.Bytes, lease.Principal{})
		}
	}
}

// withhold answers pulls with the gang's own offers and nobody else's.
func (c *Core) withhold(now time.Time, in Pulled) {
	page := gossip.PullPage{Differ: 1<<gossip.Partitions - 1}
	if len(in.Request.Want) == 0 {
		for _, e := range c.view.Entries() {
			if c.cfg.Gang.Has(e.Offer.Node) && len(page.Offers) < gossip.PageOffers && e.Offer.Fresh(now) == nil {
				page.Offers = append(page.Offers, e.Offer.Bytes)
			}
		}
	}
	c.send(Page{in.Ref, page})
}

// mislead names accomplices only, as near as there are.
func (c *Core) mislead(_ time.Time, in Sought) {
	var list []dht.Contact
	for _, s := range c.cfg.Gang.near(in.Target, maxNamed) {
		list = append(list, s.contact)
	}
	c.send(Closer{in.Ref, list})
}

// invent takes every registration and throws it away, and answers lists with nodes
// that are not there.
func (c *Core) invent(now time.Time, in Indexed) {
	if in.Request.Op != dht.OpList {
		c.send(Held{in.Ref, dht.Response{Status: make([]dht.Status, max(len(in.Request.Buckets), 1))}}) // stored, all
		return
	}
	resp := dht.Response{Size: 1}
	var like *offer.Opened // of whoever belongs there
	for _, e := range c.view.Entries() {
		if slices.Contains(dht.Keys(dht.Buckets(&e.Offer.Offer)), in.Request.Buckets[0]) {
			like = e.Offer
			break
		}
	}
	for _, s := range c.cfg.Gang.near(placeOf(in.Request.Buckets[0]), maxNamed) {
		if like == nil {
			break
		}
		o := like.Offer
		o.Site, o.Certificate, o.Name, o.Sequence = lease.Principal{}, nil, "", uint64(now.UnixMilli())
		if b, ok := c.seal(now, o, s.key); ok {
			resp.Offers = append(resp.Offers, b)
		}
	}
	resp.Size = uint32(len(resp.Offers))
	c.send(Held{in.Ref, resp})
}
