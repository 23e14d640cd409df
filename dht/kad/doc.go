// SPDX-License-Identifier: Apache-2.0

// Package kad routes by Kademlia: it wraps kad-dht on Croft's own protocol
// prefix and uses it for nothing but finding peers. Values and provider records
// are switched off; what is kept at the peers closest to a key is the business
// of dht/index.
//
//	d, err := kad.New(host, kad.Config{Server: true})
//	n, err := d.Join(ctx, remembered, given)
//	peers, err := d.Closest(ctx, key[:])
//
// A full node answers others (Server); a visitor only asks. The host is the
// caller's, here it is neither made nor closed. Methods are safe for concurrent
// use.
package kad
