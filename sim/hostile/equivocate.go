// SPDX-License-Identifier: Apache-2.0

package hostile

import "time"

// equivocate signs two offers of one sequence, and tells half of its neighbours the
// one, half the other.
func (c *Core) equivocate(now time.Time) {
	if others := c.others(); len(c.near) < 4 && len(others) > 0 { // who has one neighbour tells one thing
		c.send(Link{others[c.rng.IntN(len(others))]})
	}
	sequence := c.newer(now)
	var two [2][]byte
	for i := range two {
		o := c.cfg.Offer
		o.Sequence = sequence
		o.Total[0] += uint64(i) // of a thousandth of a core: it is another offer
		b, ok := c.seal(now, o, c.cfg.Key)
		if !ok {
			return
		}
		two[i] = b
	}
	for i, p := range c.near {
		c.send(Gossip{p, Offers, two[i%2]})
	}
	c.hear(now, two[0], c.cfg.Key.Principal())
}
