// SPDX-License-Identifier: Apache-2.0

package lease

import "slices"

// PortRange is which public ports of the node may be leased: First to Last,
// without those that the node needs itself. The zero value is none.
type PortRange struct {
	First, Last uint16
	Reserved    []uint16
}

func (r PortRange) has(number uint16) bool {
	return number != 0 && r.First <= number && number <= r.Last && !slices.Contains(r.Reserved, number)
}

// portBook knows the bookings that use each public port. Most are used by nobody.
type portBook struct {
	PortRange
	used map[publicPort][]*booking
}

type publicPort struct {
	proto  Proto
	number uint16
}

func newPortBook(r PortRange) portBook { return portBook{r, map[publicPort][]*booking{}} }

// choose gives exact numbers to the ports that w asks for, the lowest free ones
// where it asks for any. The sliver that runs on under w keeps its numbers.
func (p *portBook) choose(w *want, old *booking) ([]Port, *Refusal) {
	chosen := slices.Clone(w.ports)
	taken := func(proto Proto, number uint16) bool {
		return slices.ContainsFunc(chosen, func(c Port) bool { return c.Proto == proto && c.Number == number })
	}
	for _, c := range chosen {
		switch {
		case c.Number == 0:
		case !p.has(c.Number):
			return nil, refuse(Local, ReasonPort, "port %d/%s is not leased here: %d to %d without the node's own are", c.Number, c.Proto, p.First, p.Last)
		case !p.free(c.Proto, c.Number, w.term, old):
			return nil, refuse(Local, ReasonPort, "port %d/%s is taken in that term", c.Number, c.Proto)
		}
	}
	for i := range chosen {
		c := &chosen[i]
		if c.Number != 0 || old == nil {
			continue
		}
		for _, o := range old.chosen {
			if o.Proto == c.Proto && o.Inside == c.Inside && !taken(o.Proto, o.Number) && p.free(o.Proto, o.Number, w.term, old) {
				c.Number = o.Number
				break
			}
		}
	}
	from := map[Proto]int{TCP: int(p.First), UDP: int(p.First)} // all below are taken
	for i := range chosen {
		c := &chosen[i]
		if c.Number != 0 {
			continue
		}
		n := from[c.Proto]
		for n <= int(p.Last) && (!p.has(uint16(n)) || taken(c.Proto, uint16(n)) || !p.free(c.Proto, uint16(n), w.term, old)) {
			n++
		}
		if n > int(p.Last) || n == 0 {
			return nil, refuse(Local, ReasonCapacity, "no public %s port is free in that term", c.Proto)
		}
		c.Number, from[c.Proto] = uint16(n), n+1
	}
	return chosen, nil
}

func (p *portBook) free(proto Proto, number uint16, t Term, old *booking) bool {
	at := publicPort{proto, number}
	return p.knows(at) && !slices.ContainsFunc(p.used[at], func(b *booking) bool { return b != old && b.span().Overlaps(t) })
}

// knows reports whether a port is one of this configuration's; others were leased
// under another.
func (p *portBook) knows(at publicPort) bool {
	return (at.proto == TCP || at.proto == UDP) && p.First != 0 && p.First <= at.number && at.number <= p.Last
}

func (p *portBook) take(b *booking) {
	for _, c := range b.chosen {
		if at := (publicPort{c.Proto, c.Number}); p.knows(at) {
			p.used[at] = append(p.used[at], b)
		}
	}
}

func (p *portBook) release(b *booking) {
	for _, c := range b.chosen {
		at := publicPort{c.Proto, c.Number}
		if p.used[at] = slices.DeleteFunc(p.used[at], func(o *booking) bool { return o == b }); len(p.used[at]) == 0 {
			delete(p.used, at)
		}
	}
}
