// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"net/url"

	"croft/lease"
	"croft/node/api"
	"croft/node/keep"
)

// Hand has the node keep a slice of the caller's at strength.
func (n *Node) Hand(ctx context.Context, c keep.Charge) (k api.Kept, err error) {
	return k, call(ctx, n.http, "POST", "/v1/charges", c, &k)
}

// Kept returns the caller's slices that the node keeps.
func (n *Node) Kept(ctx context.Context) (k []api.Kept, err error) {
	return k, call(ctx, n.http, "GET", "/v1/charges", nil, &k)
}

// Unkeep has the node keep a slice of the caller's no more.
func (n *Node) Unkeep(ctx context.Context, slice string) (k api.Kept, err error) {
	return k, call(ctx, n.http, "POST", "/v1/charges/"+url.PathEscape(slice)+"/end", nil, &k)
}

// Admit lets a slice's owner hand it over to the node behind the socket, for a minute.
func (w *Way) Admit(ctx context.Context, owner lease.Principal) (a api.Admitted, err error) {
	return a, w.call(ctx, "POST", "/v1/charges/"+owner.String()+"/admit", nil, &a)
}

// AllKept returns the slices that the node behind the socket keeps.
func (w *Way) AllKept(ctx context.Context) (k []api.Kept, err error) {
	return k, w.call(ctx, "GET", "/v1/charges", nil, &k)
}

// UnkeepOf has it keep somebody's slice no more.
func (w *Way) UnkeepOf(ctx context.Context, owner lease.Principal, slice string) (k api.Kept, err error) {
	return k, w.call(ctx, "POST", "/v1/charges/"+owner.String()+"/"+url.PathEscape(slice)+"/end", nil, &k)
}
