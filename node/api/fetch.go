// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"croft/lease"
)

// maxFetchBody bounds a request to fetch, in bytes: the sums of 4,096 pieces and 256
// nodes, as JSON.
const maxFetchBody = 256 << 10

// FetchRequest has a node get a blob from other nodes.
type FetchRequest struct {
	Size  int64             `json:"size" minimum:"1" maximum:"8589934592" doc:"bytes in all"`
	Sums  []byte            `json:"sums,omitempty" doc:"SHA-256 of each piece, one after another; without them those of a holder are taken"`
	Among []lease.Principal `json:"among,omitempty" maxItems:"256" doc:"nodes that have it or are about to"`
}

// Fetch says how a fetch goes.
type Fetch struct {
	Bytes int64  `json:"bytes" doc:"bytes in hand, in any order"`
	From  int    `json:"from" doc:"nodes that are sending"`
	Over  bool   `json:"over"`
	Error string `json:"error,omitempty" doc:"why it ended without the blob"`
}

func routeFetch(api huma.API, b Blobs) {
	type fetch struct {
		Digest lease.Digest `path:"digest"`
		Body   FetchRequest
	}
	routeUpTo(api, maxFetchBody, "POST", "/v1/blobs/{digest}/fetch", "fetch", "Have the node get a blob from others",
		func(ctx context.Context, i *fetch) (Blob, error) { return b.Fetch(ctx, caller(ctx), i.Digest, i.Body) })
}
