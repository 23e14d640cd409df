// SPDX-License-Identifier: Apache-2.0

package hostile

import (
	"bytes"
	"fmt"
	"slices"

	"croft/dht"
	"croft/lease"
	"croft/lease/sign"
)

// Gang is cores that know of one another: what one tells of the others, and with what
// keys, is the gang's.
type Gang struct {
	Seed    uint64
	members []*Core
	self    map[lease.Principal]bool // members, and whom they made up
	sybils  []sybil
}

// sybil is an id that the gang made up, and where it lies.
type sybil struct {
	key     *sign.Key
	contact dht.Contact
}

// NewGang returns one without members.
func NewGang(seed uint64) *Gang { return &Gang{Seed: seed, self: map[lease.Principal]bool{}} }

func (g *Gang) join(c *Core) {
	g.members = append(g.members, c)
	g.self[c.cfg.Key.Principal()] = true
}

// Has reports whether a principal is of the gang, or was made up by it.
func (g *Gang) Has(p lease.Principal) bool { return g.self[p] }

// Leave has a member be one no more.
func (g *Gang) Leave(p lease.Principal) {
	g.members = slices.DeleteFunc(g.members, func(c *Core) bool { return c.cfg.Key.Principal() == p })
	delete(g.self, p)
}

// figment makes a key up that is the gang's.
func (g *Gang) figment(c *Core, what string, n int) *sign.Key {
	seed := dht.Key{} // 32 bytes
	copy(seed[:], fmt.Sprintf("%s %d of %s", what, n, c.cfg.Key.Principal().Short()))
	key := sign.FromSeed(seed)
	g.self[key.Principal()] = true
	return key
}

// settle makes ids up near a target, at the machine of a core.
func (g *Gang) settle(c *Core, target dht.Key) {
	home, ok := c.contact(c.cfg.Key.Principal())
	if !ok {
		return
	}
	var best []sybil
	for i := range grind {
		seed := dht.Key{}
		copy(seed[:], fmt.Sprintf("sybil %d %d of %s", g.Seed, i, c.cfg.Key.Principal().Short()))
		key := sign.FromSeed(seed)
		best = append(best, sybil{key, dht.Contact{Key: c.cfg.Place(key.Principal()), Groups: home.Groups}})
		slices.SortFunc(best, nearer(target))
		best = best[:min(len(best), sybils)]
	}
	for _, s := range best {
		g.self[s.key.Principal()] = true
		g.sybils = append(g.sybils, s)
		c.send(Alias{s.contact.Key})
	}
}

// near returns the gang's ids nearest to a target.
func (g *Gang) near(target dht.Key, n int) []sybil {
	all := slices.Clone(g.sybils)
	for _, m := range g.members {
		if at, ok := m.contact(m.cfg.Key.Principal()); ok && m.cfg.Kind == Eclipse {
			all = append(all, sybil{m.cfg.Key, at})
		}
	}
	slices.SortFunc(all, nearer(target))
	return all[:min(n, len(all))]
}

func nearer(target dht.Key) func(a, b sybil) int {
	return func(a, b sybil) int {
		x, y := distance(a.contact.Key, target), distance(b.contact.Key, target)
		return bytes.Compare(x[:], y[:])
	}
}
