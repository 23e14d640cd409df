// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"errors"

	"github.com/danielgtaylor/huma/v2"

	"croft/lease"
	"croft/node/keep"
)

var (
	// ErrNoCharge says that a slice is not kept here.
	ErrNoCharge = errors.New("this node does not keep that slice")

	// ErrNotKept says why a node does not keep a slice for somebody.
	ErrNotKept = errors.New("this node does not keep it")
)

// Charges are the slices that this node keeps at strength for their owners.
type Charges interface {
	// Hand takes a charge over from a slice's owner, who is the caller, or changes it.
	Hand(ctx context.Context, by Caller, c keep.Charge) (Kept, error)
	// Kept are the caller's.
	Kept(ctx context.Context, by Caller) ([]Kept, error)
	// Drop ends one of the caller's; its slivers go on to the ends of their leases.
	Drop(ctx context.Context, by Caller, slice string) (Kept, error)

	// Admit lets a slice's owner hand one over within the next minute, whatever the
	// configuration says: on the unix socket, as are the next two.
	Admit(ctx context.Context, owner lease.Principal) (Admitted, error)
	AllKept(ctx context.Context) ([]Kept, error)
	DropOf(ctx context.Context, owner lease.Principal, slice string) (Kept, error)
}

// Admitted says who keeps what is handed over.
type Admitted struct {
	Node    lease.Principal `json:"node"`
	Seconds int64           `json:"seconds" doc:"so long it may be"`
}

// Kept is a charge and how it stands. Instants are Unix seconds.
type Kept struct {
	Slice   string          `json:"slice"`
	Owner   lease.Principal `json:"owner"`
	Want    int             `json:"want"`
	Lives   int             `json:"lives" doc:"slivers that start or run, as last seen"`
	Where   string          `json:"where,omitempty"`
	Term    int64           `json:"term" doc:"seconds of each lease"`
	Since   int64           `json:"since"`
	Until   int64           `json:"until" doc:"when the charge or the grant ends"`
	Slivers []keep.Member   `json:"slivers,omitempty" doc:"as last seen"`
	Acts    []keep.Act      `json:"acts,omitempty" doc:"what was done, the newest last"`
	Over    string          `json:"over,omitempty" doc:"why it is not kept any more"`
	Doubt   string          `json:"doubt,omitempty" doc:"why nothing was decided of late"`
}

// maxChargeBody is the size in bytes of a charge: an authority, a program with its
// arguments, and where slivers are.
const maxChargeBody = 128 << 10

func routeCharges(api huma.API, c Charges) {
	type hand struct{ Body keep.Charge }
	type drop struct {
		Slice string `path:"slice" maxLength:"63"`
	}
	routeUpTo(api, maxChargeBody, "POST", "/v1/charges", "hand", "Have the node keep a slice of the caller's at strength",
		func(ctx context.Context, i *hand) (Kept, error) { return c.Hand(ctx, caller(ctx), i.Body) })
	route(api, "GET", "/v1/charges", "kept", "The caller's slices that the node keeps",
		func(ctx context.Context, _ *none) ([]Kept, error) { return c.Kept(ctx, caller(ctx)) })
	route(api, "POST", "/v1/charges/{slice}/end", "drop", "Have the node keep a slice no more",
		func(ctx context.Context, i *drop) (Kept, error) { return c.Drop(ctx, caller(ctx), i.Slice) })
}

func routeAllCharges(api huma.API, c Charges) {
	type owner struct {
		Owner lease.Principal `path:"owner"`
	}
	type drop struct {
		Owner lease.Principal `path:"owner"`
		Slice string          `path:"slice" maxLength:"63"`
	}
	route(api, "GET", "/v1/charges", "all-kept", "The slices that the node keeps",
		func(ctx context.Context, _ *none) ([]Kept, error) { return c.AllKept(ctx) })
	route(api, "POST", "/v1/charges/{owner}/admit", "admit", "Let an owner hand a slice over, for a minute",
		func(ctx context.Context, i *owner) (Admitted, error) { return c.Admit(ctx, i.Owner) })
	route(api, "POST", "/v1/charges/{owner}/{slice}/end", "drop-of", "Have the node keep a slice no more",
		func(ctx context.Context, i *drop) (Kept, error) { return c.DropOf(ctx, i.Owner, i.Slice) })
}
