// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"net/netip"
	"testing"

	"croft/ebpf"
)

func TestRowsHaveNames(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range []struct {
		proto uint8
		port  uint16
		want  string
	}{{6, 80, "tcp"}, {ebpf.ProtoFragment, 0, "fragments"}, {ebpf.ProtoARP, 0, "arp"}, {ebpf.ProtoOverflow, 0, "overflow"},
		{ebpf.ProtoNode, uint16(ebpf.ChannelLogs), "by-node:logs"}, {ebpf.ProtoNode, uint16(ebpf.ChannelDNS), "by-node:dns"},
		{ebpf.ProtoNode, 99, "by-node:channel(99)"}, {132, 0, "132"}} {
		got := rowName(ebpf.Flow{Proto: c.proto, Src: netip.AddrPortFrom(netip.Addr{}, c.port)})
		if got != c.want || seen[got] {
			t.Errorf("protocol %d: %q, want %q, once", c.proto, got, c.want)
		}
		seen[got] = true
	}
}
