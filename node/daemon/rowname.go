// SPDX-License-Identifier: Apache-2.0

package daemon

import "croft/ebpf"

// rowName says of a row what people read as its protocol. Rows that are of no one
// flow have names of their own, and what the node moved for a sliver has that of
// its channel.
func rowName(f ebpf.Flow) string {
	switch f.Proto {
	case ebpf.ProtoNode:
		return "by-node:" + ebpf.Channel(f.Src.Port()).String()
	case ebpf.ProtoOverflow:
		return "overflow"
	case ebpf.ProtoARP:
		return "arp"
	case ebpf.ProtoFragment:
		return "fragments"
	}
	return protoName(f.Proto)
}
