// SPDX-License-Identifier: Apache-2.0

// Package wire is a node's side of the network: its libp2p host, the byte pipe
// that a way in gives to people, and the channel that runs end to end inside.
//
//	researcher ── unix socket ── way in ── /croft/pipe/1 ── target node
//	     └───────────── Noise, principal to principal ──────────┘
//
// A node's principal is its peer id: both are the same Ed25519 key. The way in
// copies bytes ([Splice]) that it can neither read, alter, cut short nor replay:
// [Secure] and [Accept] run libp2p's Noise handshake (XX, both keys proved) over
// the pipe, under a prologue of our own so that it cannot be mistaken for a hop
// between two libp2p hosts, and mark the end of each direction, so that a
// stream which a middleman cuts reads as io.ErrUnexpectedEOF.
//
// A [Listener] is a net.Listener that yields only channels whose caller has
// proved its principal:
//
//	l := wire.Listen(h, key, wire.Options{})
//	s := http.Server{Handler: api, ConnContext: wire.ConnContext}
//	go s.Serve(l)          // in a handler: wire.Caller(r.Context())
//
// A [Host] finds out whether it can be dialled ([Host.Reach]). One that cannot is
// reached through others that carry for it, within a [RelayQuota]; a pipe goes over
// a direct connection wherever both sides manage to punch one through their NATs,
// and through the relay where not. An [Invitation] is text by which others join.
//
// Everything here may be used by several goroutines at once.
package wire
