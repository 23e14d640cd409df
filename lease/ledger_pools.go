// SPDX-License-Identifier: Apache-2.0

package lease

// DefaultPools is what a node gives without a policy file: half of its capacity
// is the commons, where anybody may have a little for a day, and half is for
// tickets. What one principal may have is small enough that free keys gain
// little, and enough to run a probe or a small service.
func DefaultPools(capacity RSet) []PoolRule {
	var commons RSet
	for r, v := range capacity {
		commons[r] = v - v/2
	}
	share := RSet{
		CPU: 500, Memory: 256 << 20, Disk: 1 << 30, Pids: 128,
		IO:         32 << 20,
		EgressRate: 10e6, IngressRate: 10e6, EgressPackets: 2000, IngressPackets: 2000,
		EgressDaily: 10e6 / 8 * 24 * 3600, // what the rate allows
		FlowsNew:    200, FlowsLive: 1000, PortsIn: 2, PortsOut: 1024,
	}
	return []PoolRule{
		{Pool: PoolCommons, Capacity: commons, PerPrincipal: share, MaxTerm: 24 * 3600},
		{Pool: PoolSharp, Capacity: capacity.Minus(commons), Sharp: true},
	}
}
