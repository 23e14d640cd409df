// SPDX-License-Identifier: Apache-2.0

// Package lab runs real nodes on one machine: every node is a process in a
// network namespace of its own, with its own kernel state, its own disk and
// real packets between them. Only distance is made.
//
//	  site uni-a                    relay                    site isp-b
//	┌────────────────────────┐  ┌───────────┐  ┌────────────────────────┐
//	│ n1 eth0 ┐              │  │ one FIFO  │  │              ┌ eth0 n1 │
//	│ n2 eth0 ┴ bridge · TUN ╪══╪ per pair  ╪══╪ TUN · bridge ┴ eth0 n2 │
//	└────────────────────────┘  └─────╫─────┘  └────────────────────────┘
//	                                 TUN
//	                               outside
//
// A site is a bridge in a namespace of its own, and behind one uplink: a TUN
// held by the relay, a single process that keeps each packet for the distance
// between its two sites. Nodes of one site are neighbours on one Ethernet. The
// namespace "outside" is a plain host somewhere else on the fabric. Addresses
// are of 198.18.0.0/16 (half of RFC 2544's), a /24 a site; a site may be behind a
// [NAT], with one of them for all and 10.18.0.0/16 inside. The lab is an island: nothing
// in it has a route to the host's network.
//
//	l, err := lab.Up(ctx, lab.Config{Dir: "/tmp/demo", N: 5, Croft: "/usr/bin/croft"})
//	…
//	code, err := l.Exec(ctx, "uni-a/n1", []string{"ping", "-c1", "198.18.3.11"}, lab.IO{})
//	err = lab.Down(ctx, "/tmp/demo", lab.DownOptions{})
//
// Whatever a lab makes is written to <dir>/lab.json before it is made, and can
// be told by the lab's name besides: namespaces by their prefix, processes by
// an environment variable. So Down also cleans up after an Up that was killed.
//
// A Lab may be used by several goroutines and several processes at once: what
// changes it holds a lock on its directory. IPv6 does not cross sites.
package lab
