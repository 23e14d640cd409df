// SPDX-License-Identifier: Apache-2.0

package net

import (
	"time"

	"croft/ebpf"
)

const (
	// DefaultPlaces is how many slivers a node has room for unless it says more.
	DefaultPlaces = 64
	// MaxPlaces leaves each sliver 16 source ports, the least that a browser-like
	// program lives with.
	MaxPlaces = 1024

	// FirstSource and LastSource bound the source ports that slivers use in the
	// world. They lie below Linux's own ephemeral range (32768 up), so that the
	// host's connections and a sliver's hardly ever want the same port.
	FirstSource = 16384
	LastSource  = 32767

	// MaxPorts is the number of public ports of one sliver, as in a lease.
	MaxPorts = 16

	// LinkRate, in bit/s, is what a veth is taken to carry: a lease at or above
	// it has no shaper, which would cost more than it could hold back.
	LinkRate = ebpf.LinkRate

	// CutRate, in bit/s, is up to where super-packets are cut before they queue:
	// above it one of 64 kB takes under 3 ms, and a packet at a time costs more
	// processor time than that is worth.
	CutRate = 200_000_000

	// MinRate, in bit/s, is the least that is shaped: below it one full packet
	// takes longer than 12 s, and HTB's clock overflows not far beyond.
	MinRate = 1_000

	// tableShare is the part of nf_conntrack_max to which the ceilings of all
	// slivers add up: a quarter for flows that they open and as much for flows
	// that come to them. TCP's closed flows are not counted as open and go within a
	// second; they are what the third quarter is for, and the fourth is the host's.
	tableShare = 4

	// unansweredShare is the part of the host's table for flows of TCP to public
	// ports that nobody has answered, and as much again for UDP; doorShare is the
	// part of how fast they begin which one port can have: a flood to one does not
	// shut the others.
	unansweredShare = 16
	doorShare       = 16

	// paceShare is the part of its ceiling that a sliver has as new TCP flows in a
	// second, and at once, each way: what closes within the second that it is kept is
	// half of the ceiling at the most, or twice minLive.
	paceShare = 4

	// defaultLive is how many flows a sliver has open at once whose lease does
	// not say, where the table has room for as many at every place.
	defaultLive = 1024

	// minLive is the least that any sliver has, and maxLive the most. The kernel
	// looks through a sliver's open flows up to 250 times a second while it opens
	// more: at maxLive that is a fair part of one processor.
	minLive = 16
	maxLive = 1 << 16

	// countedAge is how old the numbers may be that [Network.Counters] returns.
	countedAge = 500 * time.Millisecond

	// mtu of every link here. Nothing larger leaves a sliver anyway, as the
	// world's is seldom larger.
	mtu = 1500
	// etherHeader is what a qdisc counts on top of an L3 packet.
	etherHeader = 14

	// maxGSO is the largest packet that a stack hands over in one piece, with
	// its headers; a FIFO in bytes that is shorter passes none of them.
	maxGSO = 70_000
	// minGSO is two full segments: below that a stack stops batching at all.
	minGSO = 3_028

	// maxAlias is what the kernel keeps of an interface's alias.
	maxAlias = 255

	// nftTimeout bounds one run of nft, which takes milliseconds.
	nftTimeout = 10 * time.Second
	// maxNFTError is how much of nft's complaint is quoted.
	maxNFTError = 512

	// settleTime bounds the wait for a raised link, settlePoll its steps. It
	// takes a millisecond as a rule.
	settleTime = 5 * time.Second
	settlePoll = 2 * time.Millisecond

	// dumpTries is how often a listing is asked for again that the kernel says
	// changed underneath.
	dumpTries = 8
)

// Bounds of the resolver, which slivers reach at will.
const (
	// dnsInFlight queries of one sliver wait for an upstream at once; more are
	// refused. A resolver in a sliver seldom has more than a handful.
	dnsInFlight = 16
	// dnsRate and dnsBurst bound a sliver's queries per second.
	dnsRate, dnsBurst = 100, 200
	// dnsAgainRate and dnsAgainBurst bound how often, for one sliver, an upstream
	// is asked again over TCP because it says so. Each time costs the node up to
	// 50 packets, and whoever asks can own the upstream too: unbounded, a sliver
	// of 500 packets/s had its node send 1,500.
	dnsAgainRate, dnsAgainBurst = 2, 8
	// dnsConns is the number of TCP connections of one sliver.
	dnsConns = 4
	// dnsConnQueries ends a TCP connection after so many queries.
	dnsConnQueries = 64
	// maxQuery is the largest question read over UDP or TCP, in bytes: one name,
	// EDNS and its options.
	maxQuery = 1232
	// maxAnswerUDP is the largest answer over UDP, whatever the asker allows: it
	// fits every path unfragmented (DNS Flag Day 2020).
	maxAnswerUDP = 1232
	// maxUpstreams is how many resolvers are tried for one question.
	maxUpstreams = 3
	// dnsTimeout is for one upstream; an asker waits 5 s as a rule.
	dnsTimeout = 2 * time.Second
	// dnsPatience is for a question in all, with the waits for the asker's lease: an
	// answer that comes later finds nobody who waits.
	dnsPatience = 5 * time.Second
	// dnsIdle closes a TCP connection that asks nothing.
	dnsIdle = 5 * time.Second
)

// Bounds of a capture, which a sliver's owner asks for and the node pays.
const (
	// MinSnap and MaxSnap bound how much of each packet is kept, in bytes: the
	// headers of Ethernet and IPv6 at least, the longest packet of a stack at
	// most.
	MinSnap, MaxSnap = 54, 65550

	// tapBuffer is asked of the kernel for packets that were not read yet; it
	// gives twice that, in bytes of its own accounting: 8 MiB are ten thousand
	// small packets, or a hundred of the longest.
	tapBuffer = 4 << 20

	// maxFilter and maxTerms bound a filter: in bytes, and in terms of at most 29
	// instructions, of which the kernel takes 4096.
	maxFilter, maxTerms = 512, 16

	// flushEvery is how long a captured packet waits for company, and how soon a
	// capture notices that its caller is gone.
	flushEvery = 250 * time.Millisecond
	// fileBuffer is how much of a capture is written at once, in bytes.
	fileBuffer = 32 << 10
)
