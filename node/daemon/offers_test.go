// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"slices"
	"testing"
	"time"

	"croft/lease"
	"croft/lease/leasetest"
)

// The first of a network waits for nobody; whoever knows somebody to join by waits a
// little for him.
func TestFirstOfferWaitsForWhomItCanTell(t *testing.T) {
	for join, at := range map[string][2]int{"": {1, 1}, "/ip4/192.0.2.1/udp/4001/quic-v1": {0, 1}} {
		inBubble(t, func(t *testing.T, m *world) {
			if join != "" {
				m.known = []string{join}
			}
			m.boot()
			m.pass(0)
			now := len(m.offers)
			m.pass(aloneWait)
			if later := len(m.offers); now != at[0] || later != at[1] {
				t.Errorf("with %q to join by %d offers are told at once and %d later, want %v", join, now, later, at)
			}
		})
	}
}

// What a node publishes names the pools of the policy in force, with what is free
// in each.
func TestOffersNameEveryPool(t *testing.T) {
	inBubble(t, func(t *testing.T, m *world) {
		l := m.boot()
		m.pass(aloneWait)
		newest := func() (pools []lease.Pool) {
			for _, f := range m.offers[len(m.offers)-1].Free {
				pools = append(pools, f.Pool)
			}
			return pools
		}
		if got, want := newest(), []lease.Pool{lease.PoolCalendar, lease.PoolCommons, lease.PoolShare, lease.PoolSharp}; !slices.Equal(got, want) {
			t.Errorf("without a policy: %v", got)
		}
		m.write("policy.toml", "[pool.lab]\nmechanism = 'calendar'\ncpu = '10%'\n")
		if err := l.d.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		m.pass(10 * time.Minute)
		last := m.offers[len(m.offers)-1]
		if got := newest(); !slices.Contains(got, "lab") || len(got) != 5 {
			t.Errorf("with one more: %v", got)
		}
		if free := last.FreeIn("lab"); free[lease.CPU] == 0 || free[lease.CPU] >= last.Total[lease.CPU]/2 {
			t.Errorf("free in it is %s of %s", free, last.Total)
		}

		// What is leased there is not free.
		alice := newPerson(t, "alice")
		ask, err := lease.Seal(&lease.Ask{K: lease.KindAsk, Issuer: alice.who(), Node: leasetest.Who("node"), RSet: last.FreeIn("lab"),
			From: m.Wall().Unix(), Until: m.Wall().Unix() + 7200, Slice: "ron", Pool: "lab", Request: lease.Request{1}}, alice.key())
		if err != nil {
			t.Fatal(err)
		}
		hold, err := alice.hold(l, ask.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := alice.commit(l, hold); err != nil {
			t.Fatal(err)
		}
		m.pass(20 * time.Second) // it is not activated, and falls soon
		now := m.offers[len(m.offers)-1]
		if free := now.FreeIn("lab"); !free.IsZero() {
			t.Errorf("all of the pool is leased, free is %s", free)
		}
		if now.FreeIn(lease.PoolCommons) != last.FreeIn(lease.PoolCommons) {
			t.Error("so is a part of the commons")
		}
	})
}
