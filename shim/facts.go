// SPDX-License-Identifier: Apache-2.0

package shim

import (
	"context"
	"net/url"
	"time"
)

// Path is what the node knows of the way to another, from its own probes: nothing is
// measured for a service.
type Path struct {
	Node      string  `json:"node"` // a principal
	Name      string  `json:"name"`
	Way       string  `json:"way"`           // direct, relayed, or none: of the connection that stands
	RTT       float64 `json:"rtt_ms"`        // milliseconds, of the last answer; 0: not known
	Estimated bool    `json:"rtt_estimated"` // from coordinates: it was not measured
	Age       float64 `json:"age_s"`         // seconds since the last probe
	Asked     int     `json:"asked"`         // probes, at most the last 32
	Missed    int     `json:"missed"`        // of these, without an answer
	Loss      float64 `json:"loss"`          // missed of asked, 0 to 1
}

// Paths returns the ways to the nodes that the node probed of late.
func (n *Node) Paths(ctx context.Context) (list []Path, err error) {
	return list, n.get(ctx, "/v1/paths", &list)
}

// Path returns the way to a node, a principal. One that was never probed is
// estimated, if both know where they are.
func (n *Node) Path(ctx context.Context, node string) (p Path, err error) {
	return p, n.get(ctx, "/v1/paths/"+url.PathEscape(node), &p)
}

// Traffic is what the node counts of the sliver. Counts run from its beginning on: a
// rate is the difference of two over that of their At. What the node itself moves for
// the sliver is in it.
type Traffic struct {
	At             time.Time `json:"at"` // by the node's clock
	Out            Way       `json:"out"`
	In             Way       `json:"in"`
	OutRate        uint64    `json:"out_rate"`         // bit/s that are in force
	InRate         uint64    `json:"in_rate"`          // the same
	Daily          uint64    `json:"daily"`            // bytes out in a day; 0: no limit
	DailyLeft      uint64    `json:"daily_left"`       // of these
	OutPacketsLeft uint64    `json:"out_packets_left"` // that the lease has room for at once
	InPacketsLeft  uint64    `json:"in_packets_left"`  // the same
	Flows          struct {
		Limit uint64 `json:"limit"` // open at once, each way
		Out   uint64 `json:"out"`
		In    uint64 `json:"in"`
	} `json:"flows"`
}

// Way is one direction.
type Way struct {
	SeenPackets   uint64            `json:"seen_packets"`
	SeenBytes     uint64            `json:"seen_bytes"`
	PassedPackets uint64            `json:"passed_packets"`
	PassedBytes   uint64            `json:"passed_bytes"`
	Dropped       map[string]uint64 `json:"dropped"` // packets by reason
}

// Traffic returns what is counted of the sliver.
func (n *Node) Traffic(ctx context.Context) (t Traffic, err error) {
	return t, n.get(ctx, "/v1/traffic", &t)
}
