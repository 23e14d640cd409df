// SPDX-License-Identifier: Apache-2.0

// Package lean is a libp2p host without sockets: connections, streams and what
// identify tells are kept in memory, and bytes take as long as the wires say. What
// runs on a [Host] is what runs on a real one; thousands of them fit into one process.
//
//	fabric := lean.NewFabric(wires)
//	h, err := fabric.Host(lean.Config{Index: 0, Key: key, Addr: addr})
//	err = h.Connect(ctx, peer.AddrInfo{ID: other, Addrs: addrs})
//
// Modelled are one QUIC connection's habits: a dial takes a round trip, and one that
// nobody answers [DialTimeout]; streams are ordered, reliable and have a window; a
// connection whose wire is cut delivers nothing, and dies at each end when that has
// heard nothing for [IdleTimeout]; who closes tells the other. Handlers are found as
// identify and multistream have it. Bandwidth, congestion, encryption, the resource
// manager, address translation and relays are left out. A hostile peer can do here
// what it can do with a real host's API, and no more.
//
// Time is the process's: in a testing/synctest bubble it is virtual, and nothing
// here keeps it from going on. A Host may be used by any number of goroutines.
package lean
