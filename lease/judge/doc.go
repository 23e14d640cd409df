// SPDX-License-Identifier: Apache-2.0

// Package judge has the words for what becomes of a message that a neighbour
// passes on, and what each error of reading one comes to. All that travels by
// gossip is judged in these words, whatever keeps it:
//
//	judgement, reason := judge.Of(err)   // reject, signature
//
// Reject is for what is wrong for every honest node at any time, because it
// punishes whoever forwarded it; all else that is not accepted is ignored.
//
// There is no state here; everything may be called at once.
package judge
