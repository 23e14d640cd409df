// SPDX-License-Identifier: Apache-2.0

package shim

import (
	"context"
	"iter"
)

// Lease is what the sliver runs by.
type Lease struct {
	Lease string            `json:"lease"`
	From  int64             `json:"from"`  // Unix seconds
	Until int64             `json:"until"` // Unix seconds
	Left  int64             `json:"left"`  // seconds, by the clock that counts
	State string            `json:"state"` // active, or closing: it ends sooner than Until
	RSet  map[string]uint64 `json:"rset"`  // resource → amount, in the resource's unit
}

// Lease returns the sliver's lease as it stands.
func (n *Node) Lease(ctx context.Context) (l Lease, err error) {
	return l, n.get(ctx, "/v1/lease", &l)
}

// Leases yields the lease as it stands and again whenever it has changed: it was
// renewed, or is to end sooner, which State says. It ends with the lease or with ctx.
// When the node hangs up or is started anew it asks again, after a pause: an error is
// yielded, and more follows, if the caller goes on.
func (n *Node) Leases(ctx context.Context) iter.Seq2[Lease, error] {
	return again(ctx, func() (iter.Seq2[Lease, error], error) { return stream[Lease](ctx, n, "/v1/lease/events") }, nil)
}
