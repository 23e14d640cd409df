// SPDX-License-Identifier: Apache-2.0

package profile

import "croft/lease"

// Capacity is what a machine of that place leases out: half of it.
func (p Place) Capacity() (s lease.RSet) {
	cores := p.CPU / 1000
	s[lease.CPU], s[lease.Memory], s[lease.Disk], s[lease.Pids] = p.CPU, p.Memory, cores*20<<30, cores*4096
	for _, r := range []lease.Resource{lease.EgressRate, lease.IngressRate} {
		s[r] = 100_000_000
	}
	for _, r := range []lease.Resource{lease.EgressPackets, lease.IngressPackets} {
		s[r] = 50_000
	}
	s[lease.FlowsNew], s[lease.FlowsLive], s[lease.PortsIn] = 1000, 100_000, 64
	for r := range s {
		s[r] /= 2
	}
	return s
}
