// SPDX-License-Identifier: Apache-2.0

package optout

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"slices"

	"croft/lease"
)

// Node is a live node as this one knows it. Addresses are such that were seen
// ([Presence]), not only claimed: else whoever claims another's address could keep
// it from opting out, and who claims many could attest from all of them.
type Node struct {
	Principal lease.Principal
	Site      lease.Principal // of a certificate that was checked; zero: it attests for nobody
	Port      uint16          // TCP, on which it answers askers; 0: it attests for nobody
	Addrs     []netip.Addr    // of its own
}

// Door is where the node answers one who asks from addr: the first of its
// addresses in the same family, because a handshake shows an address of one
// family. The zero AddrPort: nowhere.
func (n Node) Door(addr netip.Addr) netip.AddrPort {
	if n.Port == 0 || n.Site.IsZero() {
		return netip.AddrPort{}
	}
	for _, own := range n.Addrs {
		if own.Is4() == addr.Is4() {
			return netip.AddrPortFrom(own, n.Port)
		}
	}
	return netip.AddrPort{}
}

// Network is where the node attests from for addr.
func (n Node) Network(addr netip.Addr) netip.Prefix { return lease.Network(n.Door(addr).Addr()) }

// Day is the day of an instant in Unix seconds, counted in UTC from 1970.
func Day(at int64) int64 { return at / (24 * 3600) }

// Rank is a network's place in the choice for an address on a day: the lower the
// sooner. It is a hash of the network and not of keys, because keys are free: one
// who makes a million of them gains nothing where it has no address. The networks
// that count are those of nodes that were seen there.
func Rank(addr netip.Addr, day int64, network netip.Prefix) uint64 {
	const domain = "croft/optout-rank/1\n"
	b := make([]byte, 0, len(domain)+8+16+16)
	b = append(b, domain...)
	b = binary.BigEndian.AppendUint64(b, uint64(day))
	a, n := addr.As16(), network.Addr().As16()
	b = append(append(b, a[:]...), n[:]...)
	h := sha256.Sum256(b)
	return binary.BigEndian.Uint64(h[:])
}

// chosen are the first Choice networks for an address on a day, best first.
func chosen(networks []netip.Prefix, addr netip.Addr, day int64) []netip.Prefix {
	type ranked struct {
		rank    uint64
		network netip.Prefix
	}
	first := make([]ranked, 0, Choice+1)
	for _, n := range networks {
		r := ranked{Rank(addr, day, n), n}
		at, _ := slices.BinarySearchFunc(first, r, func(a, b ranked) int {
			return cmp.Or(cmp.Compare(a.rank, b.rank), a.network.Addr().Compare(b.network.Addr()))
		})
		if at == Choice {
			continue
		}
		if first = slices.Insert(first, at, r); len(first) > Choice {
			first = first[:Choice]
		}
	}
	out := make([]netip.Prefix, len(first))
	for i, r := range first {
		out[i] = r.network
	}
	return out
}

// Chosen returns the nodes that may attest for an address at an instant (Unix
// seconds), as far as these are all there are: the best network's first, and in
// a network by principal.
func Chosen(nodes []Node, addr netip.Addr, at int64) []Node {
	addr = addr.Unmap()
	order := chosen(networks(nodes, addr), addr, Day(at))
	var out []Node
	for _, network := range order {
		from := len(out)
		for _, n := range nodes {
			if n.Network(addr) == network {
				out = append(out, n)
			}
		}
		slices.SortFunc(out[from:], func(a, b Node) int { return bytes.Compare(a.Principal[:], b.Principal[:]) })
	}
	return out
}

// networks of nodes that attest for addresses of addr's family, each once, in order.
func networks(nodes []Node, addr netip.Addr) []netip.Prefix {
	var all []netip.Prefix
	for _, n := range nodes {
		if network := n.Network(addr); network.IsValid() {
			all = append(all, network)
		}
	}
	slices.SortFunc(all, func(a, b netip.Prefix) int {
		return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
	})
	return slices.Compact(all)
}
