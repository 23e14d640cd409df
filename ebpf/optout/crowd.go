// SPDX-License-Identifier: Apache-2.0

package optout

import (
	"net/netip"
	"slices"

	"croft/lease"
)

// crowds are the entries by network, and the networks by how many they have, so
// that the largest is found without looking at all.
type crowds struct {
	in    map[netip.Prefix][]*kept
	sizes []map[netip.Prefix]bool
	top   int // no network has more
}

func newCrowds(most int) crowds {
	return crowds{in: map[netip.Prefix][]*kept{}, sizes: make([]map[netip.Prefix]bool, most+1)}
}

func (c *crowds) of(network netip.Prefix) []*kept { return c.in[network] }

func (c *crowds) add(e *kept) {
	n := lease.Network(e.Addr)
	c.in[n] = append(c.in[n], e)
	c.resized(n, len(c.in[n])-1)
}

func (c *crowds) remove(e *kept) {
	n := lease.Network(e.Addr)
	c.in[n] = slices.DeleteFunc(c.in[n], func(o *kept) bool { return o == e })
	c.resized(n, len(c.in[n])+1)
	if len(c.in[n]) == 0 {
		delete(c.in, n)
	}
}

func (c *crowds) resized(n netip.Prefix, before int) {
	now := len(c.in[n])
	delete(c.sizes[before], n)
	if now > 0 {
		if c.sizes[now] == nil {
			c.sizes[now] = map[netip.Prefix]bool{}
		}
		c.sizes[now][n] = true
	}
	c.top = max(c.top, now)
	for c.top > 0 && len(c.sizes[c.top]) == 0 {
		c.top--
	}
}

// most are the entries of the network that has most, the lowest among equals.
func (c *crowds) most() []*kept {
	var least netip.Prefix
	for n := range c.sizes[c.top] {
		if !least.IsValid() || n.Addr().Less(least.Addr()) {
			least = n
		}
	}
	return c.in[least]
}

// firstToEnd is the entry that would go first.
func firstToEnd(all []*kept) *kept {
	first := all[0]
	for _, e := range all[1:] {
		if first.after(&e.Entry) {
			first = e
		}
	}
	return first
}
