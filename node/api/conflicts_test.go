// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"

	"croft/lease"
)

func (*fake) Conflicts(context.Context) ([]Conflict, error)     { return []Conflict{}, nil }
func (*fake) Proof(context.Context, lease.ID) (Conflict, error) { return Conflict{}, ErrNoProof }
func (*fake) Accuse(_ context.Context, proof []byte) (Conflict, error) {
	return Conflict{Proof: proof}, nil
}
