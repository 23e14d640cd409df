// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net"

	"croft/shim"
)

// tenant is a program that fills a role, from its page and the shim alone: each is a
// few lines, and decides by what the node tells it.
type tenant struct {
	role   string // with its version
	answer func(ctx context.Context, n *shim.Node, r shim.Request) (any, error)
}

// tenants are all, by role.
var tenants = map[string]*tenant{
	"discovery": {"discovery/1", discover},
	"names":     {"names/1", func(context.Context, *shim.Node, shim.Request) (any, error) { return struct{}{}, nil }},
	"monitor":   {"monitor/1", judge},
	"topology":  {"topology/1", near},
	"bootstrap": {"bootstrap/1", contactsOf},
}

// serving is the command by which a program is a tenant.
func serving(role string) []string { return []string{"serve", role} }

// tenantOf is what a program is a tenant by; nil: it is none.
func tenantOf(args []string) *tenant {
	if len(args) != 2 || args[0] != "serve" {
		return nil
	}
	return tenants[args[1]]
}

// serve fills the role until the sliver ends.
func (t *tenant) serve(m *machine, s *sliver) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	n := shim.By(func(ctx context.Context) (net.Conn, error) { return m.knock(ctx, s.first.Sliver) })
	go func() { <-s.over; cancel() }()
	// It ends with the sliver, or where the node has no such role.
	_ = n.Serve(ctx, t.role, func(ctx context.Context, r shim.Request) (any, error) { return t.answer(ctx, n, r) })
}

// discover passes on what the node answers to anybody else: whoever asks what it is
// asked itself is not asked.
func discover(ctx context.Context, n *shim.Node, r shim.Request) (any, error) {
	var ask struct{ Query string }
	if err := json.Unmarshal(r.Ask, &ask); err != nil {
		return nil, &shim.Failure{Code: "ask", Text: err.Error()}
	}
	res, err := n.Find(ctx, ask.Query)
	if err != nil {
		return nil, err
	}
	type found struct {
		Signed []byte `json:"signed"`
		Source string `json:"source"`
	}
	for _, o := range res.Offers {
		if err := r.Part(map[string]any{"offers": []found{{o.Signed, "node"}}}); err != nil {
			return nil, err
		}
	}
	return map[string]any{"known": res.Known, "matched": res.Matched}, nil
}

// judge calls absent whom three sites suspect, or who missed three probes.
func judge(_ context.Context, _ *shim.Node, r shim.Request) (any, error) {
	var ask struct {
		Nodes []struct {
			Node      string
			Missed    int
			Silent    bool
			Suspected []struct{ Site string }
		}
	}
	if err := json.Unmarshal(r.Ask, &ask); err != nil {
		return nil, &shim.Failure{Code: "ask", Text: err.Error()}
	}
	type verdict struct {
		Node   string `json:"node"`
		Health string `json:"health"`
	}
	list := []verdict{}
	for _, n := range ask.Nodes {
		switch {
		case n.Missed >= 3 || len(n.Suspected) >= 3:
			list = append(list, verdict{n.Node, "absent"})
		case n.Silent || len(n.Suspected) > 0:
			list = append(list, verdict{n.Node, "doubted"})
		}
	}
	return map[string]any{"nodes": list}, nil
}

// spot is a coordinate, in microseconds.
type spot struct {
	Vector [4]float64 `json:"vector_us"`
	Height float64    `json:"height_us"`
}

// near estimates by coordinates, and knows no paths.
func near(_ context.Context, _ *shim.Node, r shim.Request) (any, error) {
	if r.Call != "near" {
		return struct{}{}, nil
	}
	var ask struct {
		From  *spot
		Nodes []struct {
			Node       string
			Coordinate *spot
			RTT        int64 `json:"rtt_us"`
		}
	}
	if err := json.Unmarshal(r.Ask, &ask); err != nil {
		return nil, &shim.Failure{Code: "ask", Text: err.Error()}
	}
	type estimate struct {
		Node string `json:"node"`
		RTT  int64  `json:"rtt_us"`
	}
	list := []estimate{}
	for _, n := range ask.Nodes {
		rtt := n.RTT
		if rtt == 0 && ask.From != nil && n.Coordinate != nil {
			sum := 0.0
			for i, x := range ask.From.Vector {
				sum += (x - n.Coordinate.Vector[i]) * (x - n.Coordinate.Vector[i])
			}
			rtt = int64(math.Sqrt(sum) + ask.From.Height + n.Coordinate.Height)
		}
		if rtt > 0 {
			list = append(list, estimate{n.Node, min(rtt, 10_000_000)})
		}
	}
	return map[string]any{"nodes": list}, nil
}

// contactsOf names whom the node finds.
func contactsOf(ctx context.Context, n *shim.Node, r shim.Request) (any, error) {
	var ask struct{ Want int }
	if err := json.Unmarshal(r.Ask, &ask); err != nil {
		return nil, &shim.Failure{Code: "ask", Text: err.Error()}
	}
	res, err := n.Find(ctx, fmt.Sprintf("cpu>=1 limit %d", max(ask.Want, 1)))
	if err != nil {
		return nil, err
	}
	type contact struct {
		Node  string   `json:"node"`
		Addrs []string `json:"addrs"`
	}
	list := []contact{}
	for _, o := range res.Offers {
		if len(o.Offer.Addrs) > 0 {
			list = append(list, contact{o.Offer.Node, o.Offer.Addrs[:min(len(o.Offer.Addrs), 4)]})
		}
	}
	return map[string]any{"contacts": list}, nil
}
