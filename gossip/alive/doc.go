// SPDX-License-Identifier: Apache-2.0

// Package alive decides which nodes a node takes to be there. Each probes the five
// that follow it in the order of their ids. Who misses two probes running is
// suspected: a [Suspicion] names the node and the sequence of its offer, is signed
// by who missed it, and goes to everybody by gossip.
//
// A node that one suspects is ranked last ([Doubted]); one that is suspected from
// three sites is left out of answers ([Absent]). A newer offer of its own refutes
// all that was said before: who hears that it is suspected publishes one at once.
// Who misses most of its own probes is silent: the fault is likely its own.
//
// Only those count who would probe the node by the order of ids, and the nodes of
// one site, or of none that is certified, count as one. So a healthy node that is
// slandered comes last for a moment; to have it left out takes three sites whose
// nodes stand right before it, and who was refuted is heard ever more rarely.
//
//	effects := watch.Step(now, alive.Received{Bytes: b})
//	standing := watch.Standing(&found.Offer)
//
// It is a room of its own, and no part of the view, because it keeps what expires
// by other rules; it asks the view for the newest offer of a node and nothing else.
// A [Watch] is pure and not safe for concurrent use.
package alive
