// SPDX-License-Identifier: Apache-2.0

// Package market plays an hour among sites whose agents oversubscribe, in virtual
// time: real ledgers, real purses and real agents, with every statement signed
// and checked, and nothing between them that takes time or gets lost.
//
// Each site has a node, an agent and users. The node gives all that it leases to
// its agent, with a degree; the agent passes a share to each of its peers, with
// terms of an hour, and gives the rest to its users as they ask. A user who wants
// a machine asks its own agent, then those of the other sites, and redeems what
// it gets; refused by the node, it asks again for another. At one instant agents
// die, and what only they could promise is out of reach until their tickets end.
//
//	r, err := market.Run(market.Config{Sites: 4, Degree: 150, Seed: 1, Death: 20 * time.Minute, Dead: 1})
//
// The same configuration gives the same hour. Nothing is shared between two runs.
package market
