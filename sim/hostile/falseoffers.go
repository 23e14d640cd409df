// SPDX-License-Identifier: Apache-2.0

package hostile

import (
	"maps"
	"time"

	"croft/lease/offer"
)

// lie offers ten times what there is, somewhere else each time, and is registered in
// buckets of others too.
func (c *Core) lie(now time.Time) {
	o := c.cfg.Offer
	for r := range o.Total {
		o.Total[r] *= 10
	}
	o.Free = append([]offer.Free(nil), o.Free...)
	for i := range o.Free {
		o.Free[i].RSet = o.Total
	}
	known := c.view.Entries()
	if len(known) == 0 {
		return
	}
	other := known[c.rng.IntN(len(known))].Offer
	o.Attributes.Country, o.Attributes.Region, o.Attributes.City = other.Attributes.Country, other.Attributes.Region, other.Attributes.City
	o.Attributes.Position, o.Attributes.AS = other.Attributes.Position, other.Attributes.AS
	o.Attributes.Labels = maps.Clone(o.Attributes.Labels)
	at := c.anywhere()
	o.Coordinate, o.Sequence = &at, c.newer(now)
	b, ok := c.seal(now, o, c.cfg.Key)
	if !ok {
		return
	}
	c.hear(now, b, c.cfg.Key.Principal())
	if c.turns%2 == 0 { // more often is not passed on
		c.spread(Offers, b, c.cfg.Key.Principal())
	}
	c.register(b, known[c.rng.IntN(len(known))].Offer.Offer, &o)
}

// misplace tells probes of another place each time.
func (c *Core) misplace(in Probed) { c.send(Echo{Ref: in.Ref, Coordinate: c.anywhere()}) }

func (c *Core) anywhere() (at offer.Coordinate) {
	for i := range at.Vector {
		at.Vector[i] = int32(c.rng.IntN(2*offer.MaxReach) - offer.MaxReach)
	}
	at.Error = 1 // sure of it
	return at
}
