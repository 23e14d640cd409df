// SPDX-License-Identifier: Apache-2.0

package dht

import "time"

const (
	// LookupClosest is k: how many peers a look-up is for, and how many a peer
	// names. A bucket's holders and a record's keepers are among them.
	LookupClosest = 20

	// LookupPaths is d of S/Kademlia (Baumgart and Mies, 2007, section 4.4): a
	// look-up fails by liars only if they hold every path. Three cost hardly a
	// message more than one, since the paths share the last hop.
	LookupPaths = 3

	// LookupParallel is Kademlia's alpha, of each path.
	LookupParallel = 3

	// LookupSure is how many of a path's nearest have answered when the rest of its
	// k are asked at once: it will hardly get nearer.
	LookupSure = 3

	// LookupLimit bounds a look-up. Over a wide area one takes half a second.
	LookupLimit = 2 * time.Second

	// CalmLimit bounds one that nobody waits for: as many peers in a row may be silent.
	CalmLimit = 10 * time.Second

	// LookupKnown is with how many of one's own table a look-up is begun best: beyond
	// the nearest k, which one network may be, are others.
	LookupKnown = 3 * LookupClosest

	// PerGroup is how many of k may be of one network (see Groups) while others
	// are to be had: a quarter, as in a bucket.
	PerGroup = LookupClosest / 4

	// MaxCloser is the number of peers taken of one answer: k, and whom it was
	// asked for.
	MaxCloser = LookupClosest + 1

	// MaxHeard is the number of peers that a path keeps: six answers without one
	// in common. The nearest are kept.
	MaxHeard = 128

	// MaxPathAsks bounds what a path asks, however near the peers are that it is
	// told of: k if two of three are dead.
	MaxPathAsks = 3 * LookupClosest

	// maxVouchers is the number of peers remembered for each that is named.
	maxVouchers = 4

	// Who named so many that are silent, and so many times more than answered, is
	// not believed. With 30 of 100 dead one in a hundred is misjudged.
	silentNamed, silentRatio = 4, 4

	// waitRatio: as long as more than so many are silent for one that answered it is
	// rather our bound that is wrong than the neighbourhood dead.
	waitRatio = 2
)

const (
	// PatienceFirst is how long a peer is waited for before anything was learned:
	// twice what a far one takes with dialling.
	PatienceFirst = 500 * time.Millisecond
	// PatienceFloor keeps a pause of a busy machine from looking like death.
	PatienceFloor = 100 * time.Millisecond
	// PatienceCap is beyond what any wide area takes: by satellite a second.
	PatienceCap = time.Second
	// endPatience is how many times the bound the end of a look-up waits for a silent
	// peer that would be among the nearest: fewer than one in a hundred takes longer,
	// and of twenty peers none should be missed only because it is far away.
	endPatience = 2
	// askAhead: where peers are silent, at most a quarter more than are wanted is
	// asked at once. More were seen to bring messages and no time.
	askAhead = 4
	// maxDoubted is the number of silent peers remembered; a new one drops the oldest.
	maxDoubted = 256
	// densitySamples is of how many places it is remembered how many nodes are about them,
	// densityLeast of how many it has to be known to say anything.
	densitySamples, densityLeast = 32, 8
	// patienceSamples is how many answers the bound is learned from; patienceLeast is
	// where it begins to be.
	patienceSamples, patienceLeast = 64, 10
)
