// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"croft/lease"
)

// Conflicts is what the node knows of broken promises. Only the unix socket
// serves it: what a node thinks of others is its owner's business.
type Conflicts interface {
	// Conflicts returns every proof that is kept, by id.
	Conflicts(ctx context.Context) ([]Conflict, error)
	// Proof returns one with its bytes, or [ErrNoProof].
	Proof(ctx context.Context, id lease.ID) (Conflict, error)
	// Accuse verifies a proof, keeps it and tells the network. One that proves
	// nothing is [ErrBadRequest].
	Accuse(ctx context.Context, proof []byte) (Conflict, error)
}

// Conflict is a proof that a principal broke a promise, and what it shows.
type Conflict struct {
	ID         lease.ID        `json:"id"`
	Kind       string          `json:"kind" doc:"what was done: twice, over, capacity, refused, unfilled or grace"`
	Principal  lease.Principal `json:"principal" doc:"who is accountable"`
	Node       lease.Principal `json:"node" doc:"whose capacity it is about"`
	About      lease.ID        `json:"about,omitzero" doc:"the claim that was promised too often, or not honoured"`
	From       int64           `json:"from" doc:"Unix seconds: when it conflicts"`
	Until      int64           `json:"until" doc:"Unix seconds: when it conflicts no more"`
	Ends       int64           `json:"ends" doc:"Unix seconds: when the proof is forgotten"`
	By         lease.Principal `json:"by,omitzero" doc:"the neighbour that told of it; absent: found here, or given by the owner"`
	Quarantine int64           `json:"quarantine,omitempty" doc:"Unix seconds until which this node gives the principal nothing; absent: no proof against it counts here"`
	Proof      []byte          `json:"proof,omitempty" doc:"canonical bytes; not in a list"`
}

// AccuseRequest carries a proof.
type AccuseRequest struct {
	Proof []byte `json:"proof"`
}

// maxProofBody bounds what the route of proofs reads: one in base64.
const maxProofBody = 2 * lease.MaxProof

func routeConflicts(api huma.API, c Conflicts) {
	type one struct {
		ID lease.ID `path:"id"`
	}
	type accuse struct{ Body AccuseRequest }
	route(api, "GET", "/v1/conflicts", "conflicts", "Every broken promise that this node knows of",
		func(ctx context.Context, _ *none) ([]Conflict, error) { return c.Conflicts(ctx) })
	route(api, "GET", "/v1/conflicts/{id}", "conflict", "One of them, with its proof",
		func(ctx context.Context, i *one) (Conflict, error) { return c.Proof(ctx, i.ID) })
	routeUpTo(api, maxProofBody, "POST", "/v1/conflicts", "accuse", "Verify a proof, keep it and tell the network",
		func(ctx context.Context, i *accuse) (Conflict, error) { return c.Accuse(ctx, i.Body.Proof) })
}
