// SPDX-License-Identifier: Apache-2.0

package optout_test

import (
	"crypto/sha256"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"croft/ebpf/optout"
	"croft/lease/leasetest"
)

// noon is the time of the tests.
var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// target is an address outside that asks to be left alone.
var target = netip.MustParseAddr("203.0.113.9")

// node is a live one: "a1" is a node of site a, in the network 192.0.<n>.0/24.
func node(name string, network int) optout.Node {
	addr := netip.AddrFrom4([4]byte{192, 0, byte(network), sha256.Sum256([]byte(name))[0]})
	return optout.Node{Principal: leasetest.Who(name), Site: leasetest.Who("site " + name[:1]),
		Port: 4080, Addrs: []netip.Addr{addr, netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 0, byte(network), 15: 1})}}
}

// nodes are four sites in four networks, one of them with two nodes.
func nodes() []optout.Node {
	return []optout.Node{node("a1", 1), node("a2", 1), node("b1", 2), node("c1", 3), node("d1", 4)}
}

// fresh is a set that knows them.
func fresh(cfg optout.Config) *optout.Set {
	s := optout.New(cfg)
	s.Step(noon, optout.Known{Nodes: nodes()})
	return s
}

func attest(t testing.TB, name string, addr netip.Addr, at time.Time, term time.Duration) optout.Opened {
	t.Helper()
	a, err := optout.Attest(addr, at, term, [16]byte(sha256.New().Sum([]byte(name))[:16]), leasetest.Key(name))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// entry is one attested by these nodes at one instant.
func entry(t testing.TB, addr netip.Addr, at time.Time, term time.Duration, names ...string) optout.Entry {
	t.Helper()
	var by []optout.Opened
	for _, name := range names {
		by = append(by, attest(t, name, addr, at, term))
	}
	e, err := optout.Join(by)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// heard is the verdict on an entry that a neighbour passed on.
func heard(s *optout.Set, now time.Time, e optout.Entry) string {
	return s.Step(now, optout.Received{Bytes: e.Bytes, From: leasetest.Who("neighbour")})[0].String()
}

func want(t testing.TB, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

func addrs(s *optout.Set) string { return fmt.Sprint(s.Addrs()) }
