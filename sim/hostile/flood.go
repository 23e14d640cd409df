// SPDX-License-Identifier: Apache-2.0

package hostile

import (
	"encoding/binary"
	"time"

	"croft/dht"
	"croft/gossip"
	"croft/lease"
	"croft/lease/offer"
	"croft/lease/sign"
)

// figment is a node that was made up, with the sequence of its last offer.
type figment struct {
	key  *sign.Key
	last uint64
}

// Flooding is what a flood is of.
type Flooding string

const (
	Garbage Flooding = "garbage"
	Repeats Flooding = "repeats"
	MadeUp  Flooding = "made up"
)

// Flood returns what the core floods others with; empty: it does not.
func (c *Core) Flood() Flooding {
	if c.cfg.Kind != Flood {
		return ""
	}
	return [...]Flooding{Garbage, Repeats, MadeUp}[c.cfg.Turn%3]
}

// flood sends as much as it can. Some send garbage; some the same good offer again
// and again; some offers of nodes that they made up, well-formed and signed. All of
// them register everything everywhere, and pull from one node again and again.
func (c *Core) flood(now time.Time) {
	switch c.Flood() {
	case Garbage:
		for range floodMessages {
			b := binary.BigEndian.AppendUint64([]byte("no offer at all "), c.rng.Uint64())
			c.spread(Offers, b, lease.Principal{})
		}
	case Repeats:
		if len(c.hoard) > 0 {
			for range floodMessages {
				c.spread(Offers, c.hoard[0], lease.Principal{})
			}
		}
	case MadeUp:
		for range floodOffers {
			if b, ok := c.makeUp(now); ok {
				c.spread(Offers, b, lease.Principal{})
			}
		}
	}
	others := c.others()
	if len(others) == 0 {
		return
	}
	for range floodPulls { // all from one node: what it may be asked is what it has to bear
		c.send(Pull{others[int(c.cfg.Seed)%len(others)], gossip.PullRequest{}})
	}
	for range floodRegisters {
		if b, ok := c.makeUp(now); ok {
			c.register(b, c.cfg.Offer, &c.cfg.Offer)
		}
	}
}

// makeUp returns the next offer of a node that is not there, in turns.
func (c *Core) makeUp(now time.Time) ([]byte, bool) {
	if len(c.made) < madeUp {
		c.made = append(c.made, &figment{key: c.cfg.Gang.figment(c, "figment", len(c.made))})
	}
	f := c.made[c.rng.IntN(len(c.made))]
	o := c.cfg.Offer
	o.Site, o.Certificate, o.Name = lease.Principal{}, nil, ""
	f.last = max(f.last+1, uint64(now.UnixMilli()))
	o.Sequence = f.last
	return c.seal(now, o, f.key)
}

// register brings an offer to holders: to where it belongs, and, as if it did, to
// where another belongs.
func (c *Core) register(b []byte, other offer.Offer, own *offer.Offer) {
	keys := append(dht.Keys(dht.Buckets(own)), dht.Keys(dht.Buckets(&other))...)
	keys = keys[:min(len(keys), dht.MaxBuckets)]
	for range 2 {
		key := keys[c.rng.IntN(len(keys))]
		for _, p := range c.nearest(placeOf(key), 3) {
			c.send(Register{p, dht.Request{Op: dht.OpRegister, Offer: b, Buckets: keys}})
		}
	}
}
