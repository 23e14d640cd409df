// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"strconv"

	"github.com/multiformats/go-multiaddr"

	slivernet "croft/ebpf/net"
	"croft/lease"
)

// Public ports that may be leased: above the privileged ones, below the blocks
// of source ports that slivers leave by.
const (
	firstPort = 1024
	lastPort  = slivernet.FirstSource - 1
)

// portRange leaves out the ports on which the node itself listens.
func portRange(listen []string, courtesy string) lease.PortRange {
	r := lease.PortRange{First: firstPort, Last: lastPort}
	for _, s := range listen {
		m, err := multiaddr.NewMultiaddr(s)
		if err != nil {
			continue // the host refuses it when it listens
		}
		for _, code := range []int{multiaddr.P_TCP, multiaddr.P_UDP} {
			if v, err := m.ValueForProtocol(code); err == nil {
				if n, err := strconv.ParseUint(v, 10, 16); err == nil {
					r.Reserved = append(r.Reserved, uint16(n))
				}
			}
		}
	}
	if at, err := courtesyAt(courtesy); err == nil {
		r.Reserved = append(r.Reserved, at.Port())
	}
	return r
}
