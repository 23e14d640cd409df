// SPDX-License-Identifier: Apache-2.0

// Package lease holds Croft's claims: who may use how much of which node, when.
//
// A claim is a signed statement. A node signs its capacity; from there down,
// whoever holds a claim signs tickets for parts of it to others: soft claims,
// which may be refused when they are drawn on. The holder of a ticket signs a
// redeem (or, where no ticket is needed, an ask), and the node answers with a
// hold for seconds and then a lease: the hard claim, to which it is bound. What
// was promised and what is possessed are kept apart, as in SHARP (Fu, Chase,
// Chun, Schwab, Vahdat, SOSP 2003); sharp_test.go says where we differ.
//
//	cap(n1 cpu=4) -> t0(alice cpu=2) -> r0(cpu=1) -> lease()
//
// A statement is canonical CBOR under an Ed25519 signature, and its id is the
// hash of its bytes. [VerifyChain] judges a whole path offline, from nothing but
// the bytes and the node's public key:
//
//	chain, err := lease.VerifyChain(path, node)
//	wish, ticket, ok := chain.Redeem()
//
// Statements, chains and sets are values: they do not change once made, and are
// safe for concurrent use. Nothing in this package reads a clock, a file or the
// network. The encoding and the rules, numbered as in the code, are in
// docs/protocol/claims.md.
package lease
