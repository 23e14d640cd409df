// SPDX-License-Identifier: Apache-2.0

// Package lease is the whole contract between those who own machines and those
// who use them: signed statements that say who may have what, where and when,
// and the ledger in which a node keeps its word.
//
// # Claims
//
// A claim is a signed statement that its holder may use an rset (how much of
// what) of one node during a term. Promises and possession are two things, as in
// SHARP (Fu, Chase, Chun, Schwab, Vahdat, SOSP 2003):
//
//	capacity ──▶ ticket ──▶ … ──▶ redeem ──▶ hold, lease
//	 the node     soft claims     the wish    hard claims: the node is bound
//
// A ticket is soft: it can be split and passed on by whoever holds it, offline,
// and the node may have to refuse it. A lease is hard. Where no ticket is needed
// an ask stands in the place of the redeem. [VerifyChain] judges a chain from its
// bytes and the node's public key alone. Statements are CBOR maps in
// deterministic form, signed with Ed25519; an [ID] is the hash of what was signed.
// The encoding and the rules, numbered as in the code, are in
// docs/protocol/claims.md; sharp_test.go says where we differ from the paper.
//
// # Proofs
//
// Who holds a claim may promise parts of it to others, within a budget that the
// root grants once; [Children] is that budget's account. More than that is a
// [Proof] that anybody verifies offline, as is a node that refuses what it
// promised: [Filling] is what it shows when it says that a claim is used up.
//
// # The ledger
//
// A [Ledger] admits wishes on one calendar per pool. At no instant do the holds
// and leases of a pool exceed its capacity, whatever was promised, by whom, and
// in whatever order it arrives. What it grants lives like this ([Transitions]):
//
//	wanted ──▶ held ──▶ leased ──▶ active ──▶ closing ──▶ closed, revoked
//	  │         │         │          └───────────┴──────▶ expired
//	  ▼         ▼         ▼
//	rejected  expired   failed
//
// Held lasts for seconds: whoever wants slivers on many nodes collects holds,
// commits them all, activates them all, and has to undo nothing when one is
// missing, because fuses burn down by themselves. A wish that names a lease in
// Replaces renews it: until the commit both are charged at their maximum, and
// then the sliver runs on under the new lease.
//
// How a lease comes about in a pool is its [Mechanism]'s business: by a ticket,
// first come, reserved ahead, or as a weighted share of what is idle (docs/mechanisms.md).
// Whether there is room the ledger judges itself, whatever a mechanism says.
//
// Every request is answered once. Said again, it gets the same bytes; a refusal
// ([Refusal]) is an answer too, and signed wherever the ledger can keep it.
//
// # The claim tree
//
// Redeems come at the end of chains that the node did not see grow. It keeps the
// claims on their paths as a tree, with two books of each:
//
//	capacity 8000 @150
//	└ agent  4000 @150    draws 4000 of 4000: full    weighs 6001 of 6000: too much
//	  ├ alice 2000 ── redeem ── lease
//	  ├ bob   2000 ── redeem ── lease
//	  └ carol 2001 ── redeem ── refused, with the proof
//
// Draws are what holds and leases take through a claim now. A redeem is granted
// if it fits every claim on its path, and nothing else of the tree refuses it.
// Weights are all that was ever signed under a claim, to the ends of the signed
// terms: closing a lease frees what it drew and nothing of what it weighs. A claim
// that weighs more than its rset times its degree was promised too often, and a
// [Proof] of it is kept, told ([Proved]), and held against whoever issued the
// children: it gets nothing new until a while after the conflict's term. Others go
// on with what they have of it. What a full claim is refused with is attached to
// the refusal: the conflict, if one on the path is to blame, or else a [Filling]
// that shows what is drawn. The ledger signs no refusal that could be held against
// it, and signs nothing of which it has not kept what bears it out.
//
// # Use
//
// A ledger is a machine. It reads no clock, calls nobody, and is given time with
// every input:
//
//	l := lease.NewLedger(lease.LedgerConfig{Key: key, Pools: lease.DefaultPools(capacity)})
//	for _, fact := range journal { // what was decided before
//		if err := l.Restore(fact); err != nil {
//			return err
//		}
//	}
//	effects := l.Step(now, lease.Recover{})
//	effects = l.Step(now, lease.Wish{Ref: 1, Caller: caller, Chain: [][]byte{ask}})
//
// The owner makes the facts among the effects durable first, all of them, and
// then does the rest in order: answers, slivers that begin, continue and finish.
// It wakes the ledger with a [Tick] at NextWake. Facts alone change a ledger, so
// one that is given its facts again is the same ledger, and [Recover] has it say
// again what may not have been done when the power went.
//
// # Concurrency
//
// Statements and other values may be shared as long as nobody writes to them. A
// Ledger must be used by one goroutine at a time, queries included.
package lease
