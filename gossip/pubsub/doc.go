// SPDX-License-Identifier: Apache-2.0

// Package pubsub carries gossip over GossipSub: the topics croft/capacity,
// croft/leases, croft/conflicts and croft/liveness, the pulls of the view,
// /croft/view/1, and of proofs, /croft/proofs/1, and the probes, /croft/alive/1. What is
// believed and what is passed on is decided by package gossip, and by gossip/alive
// of who is there; here are streams and mesh.
//
//	g, err := pubsub.New(pubsub.Config{Host: h, Now: time.Now})
//	err = g.Publish(ctx, sealedOffer)
//	found := g.Offers()
//
// Payloads are signed, envelopes are not; a message's id is the hash of topic
// and payload. A newcomer pulls the view from its first three neighbours, and
// every node pulls what differs from a random one now and then: what a full
// queue dropped arrives that way. Every drop is counted by its reason, and every
// byte by its topic.
//
// Methods are safe for concurrent use. Callbacks must not block, and must not
// call back.
package pubsub
