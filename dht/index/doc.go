// SPDX-License-Identifier: Apache-2.0

// Package index runs the index of offers between real peers: the protocol
// /croft/index/1, one request and one response of bounded CBOR on a stream each.
// The rules are those of package dht; here are streams, deadlines and peers that
// do not answer.
//
//	x, err := index.New(index.Config{Host: h, Router: kad, Now: time.Now, Serve: true})
//	go x.Keep(ctx, offers)           // registers the newest, and again in time
//	for f, err := range x.Walk(ctx, index.Search{Query: q}) { … }
//	x.Withdraw(ctx, closed)
//
// A bucket is read from several holders at once; when three (or half) have
// answered, the rest get a moment and no more, so that no look-up waits for one
// dead peer. The same offer from several is merged by newest signed sequence.
// Nothing that a holder says is believed without the node's signature.
//
// Methods are safe for concurrent use.
package index
