// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"croft/lease"
	"croft/lease/offer"
)

// Shim is what a sliver may ask its node, through its own door: the door says who
// asks.
type Shim interface {
	Discovery
	Self(ctx context.Context) (Self, error)
	// OwnSlivers are those of the same slice on this node, the asker's own too.
	OwnSlivers(ctx context.Context) ([]OwnSliver, error)
	Lease(ctx context.Context) (OwnLease, error)
	ShimLease
	ShimTopics
	ShimFacts
	// Offers tells the offers that gossip brought this node and that came since then, in
	// Unix seconds.
	Offers(ctx context.Context, since int64, tell func(offer.Found) error) error
}

// Self is who a sliver is.
type Self struct {
	Sliver string          `json:"sliver"`
	Slice  string          `json:"slice" doc:"label@owner"`
	Label  string          `json:"label"`
	Owner  lease.Principal `json:"owner"`
	Node   lease.Principal `json:"node"`
	Name   string          `json:"name,omitempty" doc:"display name of the node"`
	Shim   int             `json:"shim" doc:"version of these routes"`
}

// ShimVersion is that of the routes at a door; it changes when one of them does in
// a way that a program would notice.
const ShimVersion = 1

// OwnSliver is a sliver of the asker's slice.
type OwnSliver struct {
	Sliver string          `json:"sliver"`
	Node   lease.Principal `json:"node"`
	State  string          `json:"state" doc:"of the program: created, starting, running, …"`
	Public string          `json:"public,omitempty" doc:"address of its public ports"`
	Ports  []lease.Port    `json:"ports,omitempty"`
	Self   bool            `json:"self,omitempty"`
}

// OwnLease is the lease of the asker.
type OwnLease struct {
	Lease lease.ID   `json:"lease"`
	From  int64      `json:"from" doc:"Unix seconds"`
	Until int64      `json:"until" doc:"Unix seconds"`
	Left  int64      `json:"left" doc:"seconds, by the clock that counts"`
	State string     `json:"state" doc:"active, or closing: it ends sooner than it says"`
	RSet  lease.RSet `json:"rset"`
}

// Door returns what a sliver is served on its own socket, beside the role protocol.
func Door(s Shim, version string) http.Handler {
	mux := http.NewServeMux()
	types, done := doorSchemas.lock()
	defer done()
	api := document(mux, version, types)
	route(api, "GET", "/v1/self", "self", "Who the sliver is, and where",
		func(ctx context.Context, _ *none) (Self, error) { return s.Self(ctx) })
	route(api, "GET", "/v1/slivers", "slivers", "The slivers of the same slice on this node",
		func(ctx context.Context, _ *none) ([]OwnSliver, error) { return s.OwnSlivers(ctx) })
	route(api, "GET", "/v1/lease", "lease", "The sliver's lease, and how long it lasts",
		func(ctx context.Context, _ *none) (OwnLease, error) { return s.Lease(ctx) })
	routeOwnLeases(api, mux, s)
	routeShimTopics(api, mux, s)
	routeFacts(api, s)
	routeDiscovery(api, mux, s)
	raw(api, mux, heardOffers(s), huma.Operation{Method: "GET", Path: "/v1/offers", OperationID: "offers",
		Summary: "The offers that this node heard of, one in a line", Parameters: []*huma.Param{
			inQuery("since", "only those that came to this node since then, Unix seconds")}},
		http.StatusOK, mediaRows)
	return mux
}

func heardOffers(s Shim) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		since, err := strconv.ParseInt(r.URL.Query().Get("since"), 10, 64)
		if err != nil && r.URL.Query().Has("since") {
			Fail(w, ErrBadRequest)
			return
		}
		out, err := stream(w, mediaRows)
		if err != nil {
			Fail(w, err)
			return
		}
		enc := json.NewEncoder(out)
		if err := s.Offers(r.Context(), since, func(f offer.Found) error { return enc.Encode(f) }); err != nil {
			out.broke(err)
			return
		}
		out.begin() // with nothing in it
	})
}
