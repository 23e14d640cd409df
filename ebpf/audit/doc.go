// SPDX-License-Identifier: Apache-2.0

// Package audit answers whose a packet was, from what one node recorded.
//
// Two kinds of facts are joined. A [Tenure] says which sliver, of which slice,
// held which public source ports of the node, and when. A row ([ebpf.Flow])
// says what a sliver sent or got, as it was before the node's address
// translation. A stranger saw a packet from the node's address and a port:
//
//	198.51.100.7:23012 -> 203.0.113.9:443 at T
//	   │ port 23012 at T                │ destination at T
//	   ▼                                ▼
//	tenure: sliver s, slice web@k   and a row of s to 203.0.113.9:443
//
// The answer is what the node asserts from its own records and no more. A row
// means that the packets passed the guard: the shaper behind it may have
// dropped some. It is exact when one slice answers to all that is known.
//
//	finding := audit.Join(audit.Who{Src: seen, Dst: mine, At: at, Within: 5e9}, tenures, rows)
//
// What was recorded is committed to: a [Log] says when some minutes of rows are a
// complete segment, each a leaf of the node's log, and what [Head] is signed over
// all. An [Inclusion] shows rows to be under a head, a [Consistency] one head to
// go on from another, a [Fork] that a node signed two logs; each is bytes that
// anybody verifies offline.
//
//	row ─▶ tree of a segment ─▶ log of the node ─▶ head, signed
//	shown, err := audit.VerifyProof(bytes)
//
// Times are Unix nanoseconds. All here are pure; a Log, Tree or Inquiry is not
// safe for concurrent use.
package audit
