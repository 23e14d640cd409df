// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"
	"time"

	"croft/lease"
	"croft/node/api"
)

// The book that TestRootLoad keeps finds what it is there to find, and nothing
// else.
func TestTheBookUnderLoadFindsBreaches(t *testing.T) {
	now := time.Now()
	at := now.Unix()
	room := func(cpu uint64) lease.RSet { return lease.RSet{lease.CPU: cpu, lease.Memory: cpu} }
	pools := map[lease.Pool]api.PoolCalendar{}
	for _, p := range []lease.Pool{lease.PoolCommons, lease.PoolSharp, lease.PoolShare} {
		pools[p] = api.PoolCalendar{PoolRule: lease.PoolRule{Pool: p, Capacity: room(100)}}
	}
	taken := byte(0)
	hold := func(b *book, pool lease.Pool, cpu uint64, from, until int64, edit ...func(*promise)) *promise {
		taken++
		p := &promise{pool: pool, slice: string('a' + rune(taken)), rset: room(cpu), term: lease.Term{From: at + from, Until: at + until}}
		for _, e := range edit {
			e(p)
		}
		b.holds(p, lease.Opened{ID: lease.ID{taken}, Statement: &lease.Hold{CommitBy: at + 30}})
		return p
	}
	had := func(b *book, p *promise) {
		taken++
		b.leases(p, lease.Opened{ID: lease.ID{taken}, Statement: &lease.Lease{RSet: p.rset, From: p.term.From, Until: p.term.Until, Pool: p.pool}})
	}
	ended := func(p *promise) { p.endedAt = now }
	soft := func(p *promise) { p.soft = true }
	claim := func(p *promise, state string) api.Claim {
		return api.Claim{Lease: p.lease.ID, Slice: p.slice, State: state, RSet: p.rset, From: p.term.From, Until: p.term.Until}
	}
	books := func(claims ...api.Claim) api.Calendar {
		return api.Calendar{Pools: []api.PoolCalendar{{Claims: claims}}}
	}
	name := func(p *promise) string { return p.lease.Statement.(*lease.Lease).SliverOf(p.lease.ID) }
	for what, c := range map[string]struct {
		breaches int
		do       func(b *book)
	}{
		"two that fit":        {0, func(b *book) { hold(b, lease.PoolCommons, 60, 0, 20); hold(b, lease.PoolCommons, 40, 0, 20) }},
		"one after the other": {0, func(b *book) { hold(b, lease.PoolCommons, 60, 0, 20); hold(b, lease.PoolCommons, 60, 20, 40) }},
		"one has ended":       {0, func(b *book) { hold(b, lease.PoolCommons, 60, 0, 20, ended); hold(b, lease.PoolCommons, 60, 0, 20) }},
		"too much at once":    {1, func(b *book) { hold(b, lease.PoolCommons, 60, 0, 20); hold(b, lease.PoolCommons, 41, 19, 40) }},
		"too much is reserved": {1, func(b *book) {
			had(b, hold(b, lease.PoolCommons, 60, 500, 520))
			hold(b, lease.PoolCommons, 60, 510, 530)
		}},
		"a renewal takes the more of both": {0, func(b *book) {
			old := hold(b, lease.PoolCommons, 60, 0, 20)
			hold(b, lease.PoolCommons, 90, 5, 40, func(p *promise) { p.old = old })
		}},
		"a renewal takes too much": {1, func(b *book) {
			old := hold(b, lease.PoolCommons, 60, 0, 20)
			hold(b, lease.PoolCommons, 30, 0, 40)
			hold(b, lease.PoolCommons, 90, 5, 40, func(p *promise) { p.old = old })
		}},
		"alone": {1, func(b *book) {
			hold(b, lease.PoolCommons, 1, 0, 20, func(p *promise) { p.alone = true })
			hold(b, lease.PoolCommons, 1, 0, 20)
		}},
		"room is lent": {0, func(b *book) {
			x, y := hold(b, lease.PoolShare, 150, 0, 20, soft), hold(b, lease.PoolSharp, 50, 0, 20)
			b.compare(time.Now(), books(claim(x, "held"), claim(y, "held")), time.Second)
		}},
		"room is lent and given": {1, func(b *book) {
			x, y := hold(b, lease.PoolShare, 150, 0, 20, soft), hold(b, lease.PoolSharp, 51, 0, 20)
			b.compare(time.Now(), books(claim(x, "held"), claim(y, "held")), time.Second)
		}},
		"a lease is lost": {1, func(b *book) {
			had(b, hold(b, lease.PoolCommons, 1, 0, 20))
			b.compare(time.Now(), books(), time.Second)
		}},
		"a hold is lost": {1, func(b *book) { hold(b, lease.PoolCommons, 1, 0, 20); b.compare(time.Now(), books(), time.Second) }},
		"one is evicted": {0, func(b *book) {
			had(b, hold(b, lease.PoolShare, 1, 0, 20, soft))
			b.compare(time.Now(), books(), time.Second)
		}},
		"one is evicted at once": {1, func(b *book) {
			p := hold(b, lease.PoolShare, 1, 0, 20, soft)
			had(b, p)
			b.compare(time.Now(), books(claim(p, "leased")), time.Minute)
			b.compare(time.Now(), books(), time.Minute)
		}},
		"other amounts are booked": {1, func(b *book) {
			p := hold(b, lease.PoolCommons, 7, 0, 20)
			had(b, p)
			c := claim(p, "leased")
			c.RSet = room(6)
			b.compare(time.Now(), books(c), time.Second)
		}},
		"what was closed is still there": {2, func(b *book) { // late, and there at all
			p := hold(b, lease.PoolCommons, 1, -20, 20)
			had(b, p)
			p.endedAt = now.Add(-slack - time.Second)
			b.compare(time.Now(), books(claim(p, "active")), time.Second)
		}},
		"a hold does not fall": {1, func(b *book) {
			p := hold(b, lease.PoolCommons, 1, 0, 90)
			b.compare(time.Unix(at+30, 0).Add(slack+time.Second), books(claim(p, "held")), time.Second)
		}},
		"a sliver stays a while": {0, func(b *book) {
			p := hold(b, lease.PoolCommons, 1, -20, -3)
			had(b, p)
			b.ran(name(p), now, now)
		}},
		"a sliver stays": {1, func(b *book) {
			p := hold(b, lease.PoolCommons, 1, -40, -20)
			had(b, p)
			b.ran(name(p), now, time.Time{})
		}},
		"a sliver stays for the daemon was away": {0, func(b *book) {
			p := hold(b, lease.PoolCommons, 1, -40, 20)
			had(b, p)
			p.endedAt = now.Add(-20 * time.Second)
			b.ran(name(p), now, now)
		}},
		"nobody's sliver": {1, func(b *book) { b.ran("nobody", now, now) }},
	} {
		t.Run(what, func(t *testing.T) {
			b := newBook()
			b.pools = pools
			if c.do(b); b.count["violations"] != c.breaches {
				t.Errorf("%d breaches, want %d: %q", b.count["violations"], c.breaches, b.violations)
			}
		})
	}
}
