// SPDX-License-Identifier: Apache-2.0

// Package dht is the index of offers on the overlay, as rules without a
// network. Kademlia routes; it does not store. The peers closest to a bucket's
// key hold the bucket:
//
//	REGISTER  a signed offer into the buckets it belongs to
//	WITHDRAW  a signed, closed offer: out of all of them
//	LIST      a page of a bucket, after a cursor
//
// A [Bucket] is one quantised value of one attribute, such as country/ch or
// cpu/2. [Buckets] says where an offer belongs, [Plan] which buckets a query
// must walk, [Choose] which plan is the cheapest. A [Holder] checks what it is
// given: signature, membership, validity, caps for each source network and
// site. At 256 entries a bucket splits by the bits of the nodes' principals:
// registrants are sent to their part ([Deeper]), readers follow ([Parted]), until
// half have gone. Seekers merge what several holders say by newest signed sequence,
// so that one who omits or keeps stale offers is corrected by the others.
//
//	h := dht.NewHolder(dht.HolderConfig{})
//	effects := h.Step(now, dht.Register{Offer: b, Buckets: keys, From: addr})
//	answer := effects[0].(dht.Answer)
//
// A [Registration] brings an offer to its holders and a [Search] reads the buckets that
// serve a query, both without a network: they say whom to look up and to ask, and are
// told what came of it.
//
// Who is closest a [Lookup] finds: iteratively, over disjoint paths, waiting for
// nobody who is silent.
//
// Slice records are values of the DHT itself: [RecordKey], [CheckRecord] and
// [NewestRecord] say where, which, and which of several.
//
// A Holder, a Registration, a Search and a Lookup are not safe for concurrent use; everything else is a pure
// function.
package dht
