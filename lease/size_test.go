// SPDX-License-Identifier: Apache-2.0

package lease_test

import (
	"strings"
	"testing"

	"croft/lease"
	"croft/lease/leasetest"
)

// The sizes that limits.go and docs/protocol/claims.md state.
func TestSizes(t *testing.T) {
	const all = "cpu=4000 memory=8GiB disk=100GiB pids=4096 io=100MiB egress.rate=1gbit ingress.rate=1gbit " +
		"egress.packets=100k ingress.packets=100k egress.daily=1TiB flows.new=1000 flows.live=10k ports.in=16 ports.out=1024"
	for _, c := range []struct {
		limit   int
		drawing string
	}{
		{280, "cap(n1 cpu=4000 memory=8GiB egress.rate=1gbit egress.packets=100k) -> t63(alice)"},
		{330, "cap(n1 " + all + ") -> t63(alice)"},
	} {
		if n := len(leasetest.Draw(t, c.drawing).Last().Signed.Bytes()); n > c.limit {
			t.Errorf("%s takes %d bytes, limit %d", c.drawing, n, c.limit)
		}
	}

	label := strings.Repeat("a", lease.MaxLabel)
	largest := &lease.Lease{K: lease.KindLease, Node: leasetest.Who("n1"), Holder: leasetest.Who("alice"), Parent: lease.ID{1},
		From: leasetest.Epoch, Until: leasetest.Epoch + lease.MaxTerm, Slice: label, Pool: lease.Pool(label), Runtime: label,
		Replaces: lease.ID{1}, Hold: lease.ID{1}, Sliver: lease.ID{1}, ActivateBy: leasetest.Epoch, Grace: lease.MaxTerm,
		BurstOut: lease.MaxAmount, BurstIn: lease.MaxAmount}
	for r := range largest.RSet {
		largest.RSet[r] = lease.MaxAmount
	}
	for i := range uint16(lease.MaxPorts) {
		largest.Ports = append(largest.Ports, lease.Port{Proto: lease.UDP, Number: 60000 + i, Inside: 60000})
	}
	s, err := lease.Seal(largest, leasetest.Key("n1"))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(s.Bytes()); n > 800 {
		t.Errorf("the largest lease takes %d bytes, limits.go says under 800", n)
	}
	if _, err := lease.Open(s.Bytes()); err != nil {
		t.Errorf("the largest lease does not open: %v", err)
	}
}
