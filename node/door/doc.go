// SPDX-License-Identifier: Apache-2.0

// Package door serves the sockets that a node makes for its slivers, one each.
//
// The listener is the identity: whoever dials a sliver's socket is that sliver, and
// so its slice, whatever it says. The node listens and never dials; what a sliver
// can write it never opens. The first byte decides what a connection is:
//
//	sliver ──▶ '{'   the role protocol, lines both ways: the sliver serves a role
//	       ──▶ else  HTTP: the sliver asks (package shim)
//
// A tenant's first line names a role; from then on questions come down the
// connection and answers come up, see [Tenant]. A line that is not understood, an
// unknown or finished id, an answer beyond its bounds: the connection is closed and
// the reason counted. All bytes are charged to the sliver's lease before they count.
//
//	h := door.House{Node: self, Guard: guard, Roles: roles, HTTP: server}
//	err := h.Serve(ctx, listener, door.Sliver{Name: name, Label: "finder", Owner: alice})
//
// A House is safe for concurrent use, as are the Tenants that it hands to Roles.
package door
