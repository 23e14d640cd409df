// SPDX-License-Identifier: Apache-2.0

// Package vivaldi finds out where a node is in a space whose distances are
// round-trip times, so that the time to any node can be told from the two
// coordinates alone (Dabek and others, SIGCOMM 2004): every sample of a way pulls
// the coordinate a little towards where it would be right, the more the less sure
// the node is and the surer the other.
//
//	e := vivaldi.New(vivaldi.Config{Seed: 1})
//	what := e.Sample(node, rtt, offer.Light(mine, theirs), theirCoordinate)
//	here, ok := e.Coordinate()
//
// Of each node the median of its last samples counts (Ledlie and others, NSDI 2007):
// one packet that was sent twice moves nothing. What cannot be is left out and
// counted: less time than light takes, and, once the node knows its way about, what
// contradicts all the rest. No sample moves a coordinate far. A liar can so make
// itself seem farther away than it is, and moves those that sample it a little.
//
// An Estimator is pure and not safe for concurrent use.
package vivaldi
