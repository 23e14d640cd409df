// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// dump writes down everything that can still matter, from now on.
func dump(l *Ledger) string {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("now %d kept %d asked %d refused %d", l.now, l.kept, l.asked, l.refused)
	for _, x := range l.byAge() {
		e, _ := json.Marshal(x.entry())
		p("booking %s at=%d active=%v continues=%v gone=%v end=%s@%d/%s ended=%s", e, x.at, x.active, x.continues, x.gone, x.endID.Short(), x.endAt, x.endOn, x.endedOn)
		if x.old != nil {
			p("  of %s", x.old.lease.Short())
		}
		if l.requests[x.key()] != x || l.bookings[x.hold] != x {
			p("  LOST")
		}
	}
	var refusals []string
	for _, r := range l.requests {
		if r, ok := r.(*refusalKept); ok {
			refusals = append(refusals, fmt.Sprintf("refusal %s %s at=%d %s %s", r.id, r.refusal.Error(), r.at, digestOf(r.bytes), digestOf(r.refusal.Attachment)))
		}
	}
	slices.Sort(refusals)
	p("%s", strings.Join(refusals, "\n"))
	for _, k := range l.byKeeping() {
		p("claim %s of %v at=%d given=%x below=%d redeems=%d witnessed=%d refused=%d draws %s", k.ID, k.chain().Len(), k.at, k.request,
			len(k.below), k.redeems, k.witnessed, k.refused, line(&k.draws, l.now))
		if k.yard != nil {
			p("  yard %+v", *k.yard)
		}
		for i, slot := range k.weights.slots {
			for _, c := range slot {
				p("  slot %d %s %s", i, c.Kind(), c.ID.Short())
			}
			for _, b := range k.live[uint8(i)] {
				p("  slot %d live %s", i, b.hold.Short())
			}
		}
	}
	p("given %d passed on %d witnesses %d attached %d", l.given, l.passedOn, len(l.witnesses), l.attached)
	for _, x := range l.byProof() {
		p("proof %s at=%d against %s %d", x.id, x.at, x.verdict.Principal, len(l.accused[x.verdict.Principal]))
	}
	p("joint %s", line(&l.joint, l.now))
	for _, b := range l.evictables {
		p("evictable %s share %s", b.hold, b.share)
	}
	for _, pool := range []Pool{PoolCommons, PoolSharp, PoolShare, PoolCalendar} {
		p("pool %s load %s aside %s", pool, line(&l.pool(pool).load, l.now), line(&l.pool(pool).aside, l.now))
	}
	var holders []string
	for who, a := range l.holders {
		text := fmt.Sprintf("holder %s asked=%d holds=%d refused=%d", who, a.asked, a.holds, a.refused)
		for _, pool := range []Pool{PoolCommons, PoolSharp, PoolShare, PoolCalendar} {
			if a.load[pool] != nil {
				text += fmt.Sprintf(" %s: %s", pool, line(a.load[pool], l.now))
			}
		}
		holders = append(holders, text)
	}
	slices.Sort(holders)
	p("%s", strings.Join(holders, "\n"))
	for _, proto := range []Proto{TCP, UDP} {
		for number := int(l.ports.First); number <= int(l.ports.Last); number++ {
			for _, u := range l.ports.used[publicPort{proto, uint16(number)}] {
				p("port %d/%s %s", number, proto, u.hold.Short())
			}
		}
	}
	return b.String()
}

// line writes a calendar as the loads from now on.
func line(c *calendar, now int64) string {
	instants := []int64{now}
	var walk func(*edge)
	walk = func(n *edge) {
		if n != nil {
			walk(n.left)
			if n.at > now {
				instants = append(instants, n.at)
			}
			walk(n.right)
		}
	}
	walk(c.root)
	var parts []string
	var last RSet
	for _, at := range instants {
		if load := c.peak(Term{at, at + 1}); load != last {
			parts = append(parts, fmt.Sprintf("%d:%s", at, load))
			last = load
		}
	}
	return strings.Join(parts, " ")
}
