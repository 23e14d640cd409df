// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"croft/lease"
)

// Overlay is the node's place among the others. Only the unix socket serves it: whom
// a node knows, and what that costs, is its owner's business.
type Overlay interface {
	// Net says whom the node is connected to, and what that costs.
	Net(ctx context.Context) (Net, error)
	// View says what it knows of the others by gossip, or [ErrVisitor].
	View(ctx context.Context) (View, error)
}

// Net is the node's connections, and what they carry.
type Net struct {
	At        time.Time         `json:"at"`
	Since     time.Time         `json:"since" doc:"since when bytes are counted"`
	Budget    float64           `json:"budget" doc:"bytes per second each way that the overlay may take"`
	Load      float64           `json:"load" doc:"bytes per second that it took over about the last minute, in the direction that took more"`
	Stretch   float64           `json:"stretch" doc:"by how much the node's periods are longer, to keep to the budget; 1: not at all"`
	Peers     []Peer            `json:"peers"`
	Topics    []TopicTraffic    `json:"topics" doc:"of gossip; control is what the router says beside messages"`
	Protocols []ProtocolTraffic `json:"protocols" doc:"all that connections carry; /croft/pipe/1 is what people send by this node, and no part of the load"`
	Delivered uint64            `json:"delivered" doc:"messages of gossip that were accepted"`
	Doubles   uint64            `json:"doubles" doc:"messages that came more than once"`
	Drops     map[string]uint64 `json:"drops" doc:"what was dropped, by part and reason: gossip, lookup, index, holder, contacts, relay and the like"`
}

// Peer is a neighbour: one that this node is connected to.
type Peer struct {
	ID      string          `json:"id" doc:"its libp2p peer id"`
	Node    lease.Principal `json:"node,omitzero" doc:"its principal; absent: its key is of another kind"`
	Name    string          `json:"name,omitempty" doc:"as its offer has it"`
	Addr    string          `json:"addr" doc:"multiaddr of its end of the best connection"`
	Direct  bool            `json:"direct" doc:"false: everything goes by a relay"`
	Inbound bool            `json:"inbound" doc:"the peer has opened that connection"`
	RTT     float64         `json:"rtt_ms,omitempty" doc:"milliseconds there and back, just measured or else of late; absent: it does not answer"`
	Agent   string          `json:"agent,omitempty" doc:"what it says that it runs"`
	Since   time.Time       `json:"since" doc:"when that connection was opened"`
	In      int64           `json:"bytes_in"`
	Out     int64           `json:"bytes_out"`
}

// TopicTraffic is what one topic of gossip carried.
type TopicTraffic struct {
	Topic       string `json:"topic"`
	Mesh        int    `json:"mesh" doc:"neighbours that messages are passed on to"`
	MessagesIn  uint64 `json:"messages_in"`
	MessagesOut uint64 `json:"messages_out"`
	In          uint64 `json:"bytes_in"`
	Out         uint64 `json:"bytes_out"`
}

// ProtocolTraffic is what one stream protocol carried.
type ProtocolTraffic struct {
	Protocol string  `json:"protocol" doc:"empty: before one was agreed on"`
	In       int64   `json:"bytes_in"`
	Out      int64   `json:"bytes_out"`
	InRate   float64 `json:"in_rate" doc:"bytes per second, of late"`
	OutRate  float64 `json:"out_rate"`
}

// View is what gossip has told of the others.
type View struct {
	At       time.Time    `json:"at"`
	Digest   string       `json:"digest" doc:"16 hex digits; two views of one digest hold the same offers"`
	Capacity int          `json:"capacity" doc:"nodes that it may hold"`
	Counts   ViewCounts   `json:"counts"`
	Nodes    []ViewedNode `json:"nodes"`
}

// ViewCounts counts nodes of a view by where they came from, and those of them that
// have left.
type ViewCounts struct {
	Own    int `json:"own"`
	Gossip int `json:"gossip"`
	Pull   int `json:"pull"`
	Left   int `json:"left"`
}

// ViewedNode is one node of a view.
type ViewedNode struct {
	Node     lease.Principal `json:"node"`
	Name     string          `json:"name,omitempty"`
	Site     lease.Principal `json:"site,omitzero" doc:"that vouches for it"`
	Sequence uint64          `json:"sequence" doc:"of its newest offer"`
	Made     int64           `json:"made" doc:"Unix seconds, by its own clock"`
	Until    int64           `json:"until" doc:"Unix seconds: when the offer lapses"`
	Source   string          `json:"source" doc:"own, gossip or pull"`
	From     lease.Principal `json:"from,omitzero" doc:"the neighbour that brought it"`
	Left     bool            `json:"left,omitempty" doc:"its last word: it has left"`
}

func routeOverlay(api huma.API, o Overlay) {
	route(api, "GET", "/v1/net", "net", "Whom this node is connected to, and what that costs",
		func(ctx context.Context, _ *none) (Net, error) { return o.Net(ctx) })
	route(api, "GET", "/v1/view", "view", "What this node knows of the others by gossip",
		func(ctx context.Context, _ *none) (View, error) { return o.View(ctx) })
}
