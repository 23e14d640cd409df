// SPDX-License-Identifier: Apache-2.0

package hostile

import (
	"time"

	"croft/gossip"
	"croft/lease"
)

// recall answers pulls with what was, whatever has become of it.
func (c *Core) recall(_ time.Time, in Pulled) {
	page := gossip.PullPage{Differ: 1<<gossip.Partitions - 1}
	for range min(gossip.PageOffers, len(c.hoard)) {
		page.Offers = append(page.Offers, c.hoard[c.rng.IntN(len(c.hoard))])
	}
	c.send(Page{in.Ref, page})
}

// replay says again what it has heard of others at some time, and brings wishes of
// others to nodes as its own.
func (c *Core) replay(now time.Time) {
	for range replays {
		if len(c.hoard) > 0 {
			c.spread(Offers, c.hoard[c.rng.IntN(len(c.hoard))], lease.Principal{})
		}
		if len(c.charges) > 0 {
			c.spread(Suspicions, c.charges[c.rng.IntN(len(c.charges))], lease.Principal{})
		}
	}
	if len(c.wishes) == 0 {
		return
	}
	chain := c.wishes[c.rng.IntN(len(c.wishes))]
	if others := c.others(); len(others) > 0 {
		c.send(Tell{To: others[c.rng.IntN(len(others))], In: func(ref uint64) lease.Input {
			return lease.Wish{Ref: ref, Caller: c.cfg.Key.Principal(), Chain: chain}
		}})
	}
	// What it says of itself is its own and honest, but for being late.
	if c.turns%6 == 0 {
		o := c.cfg.Offer
		o.Sequence = c.newer(now)
		if b, ok := c.seal(now, o, c.cfg.Key); ok {
			c.spread(Offers, b, c.cfg.Key.Principal())
		}
	}
}
