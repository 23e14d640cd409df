// SPDX-License-Identifier: Apache-2.0

// Package api is a node's HTTP interface: one route for each thing that a
// person can ask of it.
//
// Routes are served in three places, and the place decides what a caller
// may do:
//
//   - [Local] on the node's unix socket. Whoever may open the socket owns the
//     way in: find, status, give tickets, and a byte pipe to any node.
//   - [Remote] inside a Noise channel end to end. The caller is the principal
//     that proved its key there, and acts on its own leases and slivers only.
//   - [Door] on the socket that a node makes for a sliver: other routes, by which
//     the sliver asks of itself and of what its node knows.
//
// Control of a slice is by key alone, so a lease on this very node is reached
// through the pipe too: the way in never acts for anybody.
//
// A refusal is an answer, not an error: it comes with status 200, and its sort
// and reason travel to the person's eyes. What is wrong with a call itself is a
// problem document (RFC 9457).
//
// Handlers may be called from any number of goroutines.
package api
