// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"iter"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

// ShimLease is what becomes of a sliver's lease.
type ShimLease interface {
	// OwnLeases yields the lease as it stands, and again whenever it has changed,
	// until ctx or the lease ends. After an error nothing follows.
	OwnLeases(ctx context.Context) iter.Seq2[OwnLease, error]
}

func routeOwnLeases(api huma.API, mux *http.ServeMux, s ShimLease) {
	raw(api, mux, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		lines(w, func(func()) iter.Seq2[OwnLease, error] { return s.OwnLeases(r.Context()) })
	}), huma.Operation{Method: "GET", Path: "/v1/lease/events", OperationID: "own-leases",
		Summary: "The sliver's lease as it stands, and again in a line of its own whenever it has changed"},
		http.StatusOK, mediaRows)
}
