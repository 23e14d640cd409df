// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"croft/lease"
)

// ShimFacts is what the node knows of the network anyway: nothing is measured for a
// sliver.
type ShimFacts interface {
	// Counted is what is counted of the sliver itself.
	Counted(ctx context.Context) (Figures, error)
	// Paths are the ways to nodes that this node probed of late, at most [MaxPaths],
	// and Path is that to one, estimated if it was not probed.
	Paths(ctx context.Context) ([]Path, error)
	Path(ctx context.Context, node lease.Principal) (Path, error)
}

// MaxPaths is the number of nodes of which a node remembers its probes: a node probes
// five in turn, and whom its people ask about.
const MaxPaths = 256

// Path is what a node knows of the way to another.
type Path struct {
	Node      lease.Principal `json:"node"`
	Name      string          `json:"name,omitempty"`
	Way       string          `json:"way" enum:"direct,relayed,none" doc:"of the connection that stands"`
	RTT       float64         `json:"rtt_ms,omitempty" doc:"milliseconds, of the last answer; none: not known"`
	Estimated bool            `json:"rtt_estimated,omitempty" doc:"from coordinates: it was not measured"`
	Age       float64         `json:"age_s,omitempty" doc:"seconds since the last probe"`
	Asked     int             `json:"asked" doc:"probes, the last 32 at the most, of the last 10 minutes"`
	Missed    int             `json:"missed" doc:"of these, without an answer in 2 s"`
	Loss      float64         `json:"loss" doc:"missed of asked, 0 to 1"`
}

func routeFacts(api huma.API, s ShimFacts) {
	type of struct {
		Node lease.Principal `path:"node"`
	}
	route(api, "GET", "/v1/traffic", "counted", "What is counted of the sliver: packets, drops by reason, what its lease has left",
		func(ctx context.Context, _ *none) (Figures, error) { return s.Counted(ctx) })
	route(api, "GET", "/v1/paths", "paths", "The ways to the nodes that this node probed of late",
		func(ctx context.Context, _ *none) ([]Path, error) { return s.Paths(ctx) })
	route(api, "GET", "/v1/paths/{node}", "path", "The way to a node, as far as this node knows",
		func(ctx context.Context, i *of) (Path, error) { return s.Path(ctx, i.Node) })
}
