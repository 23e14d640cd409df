// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"testing"

	"croft/lease"
	"croft/lease/policy"
)

// Shares come out in whole MiB and kbit/s, and what rounding leaves of pools that
// are the whole capacity together is no pool's. What was left on purpose is.
func TestSharesAreRound(t *testing.T) {
	compile := func(text string, measured lease.RSet) map[lease.Pool]lease.RSet {
		s, err := policy.Read("p", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		p, err := policy.NewBase(measured).Compile(s)
		if err != nil {
			t.Fatal(err)
		}
		out := map[lease.Pool]lease.RSet{}
		var sum lease.RSet
		for _, pool := range p.Pools {
			out[pool.Name] = pool.Capacity
			for r, v := range pool.Capacity {
				sum[r] += v
			}
		}
		for r, v := range sum {
			if v > p.Capacity[r] {
				t.Errorf("%s: pools come to %d of %d", lease.Resource(r), v, p.Capacity[r])
			}
		}
		return out
	}
	machine := must("cpu=8000,memory=24684096KiB,pids=8191,egress.rate=100000001,ports.in=16")
	full := compile("[pool.commons]\npart = '33.33%'\n[pool.sharp]\npart = '33.33%'\n[pool.calendar]\npart = '33.34%'\n", machine)
	if got, want := full["commons"], must("cpu=1333,memory=4016MiB,pids=2730,egress.rate=33330kbit,ports.in=5"); got != want {
		t.Errorf("commons %s, want %s", got, want)
	}
	if got := full["share"]; !got.IsZero() {
		t.Errorf("share has dust: %s", got)
	}
	rest := compile("[pool.commons]\npart = '25%'\n[pool.sharp]\npart = '25%'\n[pool.calendar]\npart = '37.5%'\n", machine)
	if got := rest["share"]; got[lease.PortsIn] != 2 || got[lease.CPU] != 500 {
		t.Errorf("share has %s of the eighth that was left", got)
	}
}
