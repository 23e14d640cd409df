// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"croft/lease"
)

// Figures are what a node counts of one sliver. Counts run from the sliver's
// beginning on; a rate is the difference of two answers over that of their At.
type Figures struct {
	Node   lease.Principal `json:"node"`
	Name   string          `json:"name" doc:"the node's display name"`
	Slice  string          `json:"slice"`
	Owner  lease.Principal `json:"owner" doc:"of the slice"`
	Sliver string          `json:"sliver"`
	At     time.Time       `json:"at" doc:"by the node's clock"`

	Out       Way    `json:"out" doc:"from the sliver; what the node moved for it is in it"`
	In        Way    `json:"in"`
	OutRate   uint64 `json:"out_rate" doc:"bit/s that are in force"`
	InRate    uint64 `json:"in_rate"`
	Daily     uint64 `json:"daily,omitempty" doc:"bytes from the sliver in a day; none: no limit"`
	DailyLeft uint64 `json:"daily_left,omitempty"`

	OutPacketsLeft uint64 `json:"out_packets_left" doc:"that the lease has room for at once; it fills at the lease's packets a second"`
	InPacketsLeft  uint64 `json:"in_packets_left"`

	Flows  LiveFlows `json:"flows"`
	Names  Names     `json:"names"`
	Queues *Queues   `json:"queues,omitempty" doc:"where the sliver's rates are shaped"`
}

// LiveFlows are a sliver's entries in the node's table of connections.
type LiveFlows struct {
	Limit      uint64 `json:"limit" doc:"that may be open at once, each way"`
	Out        uint64 `json:"out" doc:"opened by the sliver"`
	In         uint64 `json:"in" doc:"that came to its public ports"`
	RefusedOut uint64 `json:"refused_out,omitempty" doc:"packets that would have begun one over the limit"`
	RefusedIn  uint64 `json:"refused_in,omitempty"`
	NoPort     uint64 `json:"no_port,omitempty" doc:"packets that would have begun one to a destination towards which all source ports are in use"`
}

// Names counts what a sliver asked of the node's resolver.
type Names struct {
	Asked     uint64 `json:"asked"`
	Refused   uint64 `json:"refused,omitempty" doc:"over the resolver's rate or the lease"`
	Failed    uint64 `json:"failed,omitempty" doc:"no upstream answered"`
	UpBytes   uint64 `json:"up_bytes" doc:"sent upstream for the sliver, charged to it"`
	DownBytes uint64 `json:"down_bytes"`
}

// Queues are where packets wait for a sliver's rates.
type Queues struct {
	Out Queue `json:"out"`
	In  Queue `json:"in"`
}

// Queue is one way. Small flows wait in one leaf and bulk in the other.
type Queue struct {
	Shaped  bool    `json:"shaped"`
	Sparse  float64 `json:"sparse_ms" doc:"milliseconds that a packet of a small flow waits now"`
	Bulk    float64 `json:"bulk_ms"`
	Backlog uint64  `json:"backlog" doc:"bytes that wait"`
	Dropped uint64  `json:"dropped,omitempty" doc:"packets, by the queue, after they were recorded"`
}

func routeFigures(api huma.API, s Slivers) {
	type of struct {
		Slice string `query:"slice" maxLength:"63" doc:"label; none: all that the caller may see"`
	}
	route(api, "GET", "/v1/figures", "figures", "What is counted of the caller's slivers: packets, drops, flows, names",
		func(ctx context.Context, i *of) ([]Figures, error) { return s.Figures(ctx, caller(ctx), i.Slice) })
}

func routeAllFigures(api huma.API, o Owner) {
	route(api, "GET", "/v1/figures", "figures", "What is counted of every sliver on this node",
		func(ctx context.Context, _ *none) ([]Figures, error) { return o.AllFigures(ctx) })
}
