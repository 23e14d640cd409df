// SPDX-License-Identifier: Apache-2.0

// Topology serves topology/1 to the node on which it runs: where coordinates are not to be
// trusted it goes by the light, and it knows ways round by two others.
//
//	CGO_ENABLED=0 go build ./examples/topology
//	croft run --where 'node=…' --name near ./topology
//	croft role try topology near
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"croft/shim"
)

// The messages of docs/roles/topology.md.
type (
	coordinate struct {
		Vector [4]float64 `json:"vector_us"`
		Height float64    `json:"height_us"`
		Error  float64    `json:"error_thousandth"`
	}
	place struct {
		Node       string      `json:"node"`
		Coordinate *coordinate `json:"coordinate"`
		RTT        float64     `json:"rtt_us"`
		Least      float64     `json:"least_us"`
	}
	distance struct {
		Node string `json:"node"`
		RTT  int64  `json:"rtt_us"`
	}
	detour struct {
		Via []string `json:"via"`
		RTT int64    `json:"rtt_us"`
	}
	question struct {
		From  *coordinate `json:"from"`
		To    place       `json:"to"`
		Nodes []place     `json:"nodes"`
	}
)

const (
	longest = 10_000_000 // µs: no round trip is longer
	most    = 4          // ways in an answer

	// lost is the error from which a coordinate says nothing, in thousandths; slow is by
	// how much the internet is slower than light, and hop what is added at either end, in µs.
	lost, slow, hop = 500, 2, 1000
)

// far is how far two places are by their coordinates, and false where those say nothing.
func far(a, b *coordinate) (us float64, ok bool) {
	if a == nil || b == nil || a.Error > lost || b.Error > lost {
		return 0, false
	}
	for i := range a.Vector {
		d := a.Vector[i] - b.Vector[i]
		us += d * d
	}
	return math.Sqrt(us) + a.Height + b.Height, true
}

// from is how far a place is from here.
func (p place) from(here *coordinate) (us float64, ok bool) {
	if p.RTT > 0 {
		return p.RTT, true
	}
	if us, ok = far(here, p.Coordinate); ok {
		return max(us, p.Least), true
	}
	return slow*p.Least + hop, p.Least > 0
}

func whole(us float64) int64 { return int64(min(max(us, 1), longest)) }

func near(q question) any {
	list := []distance{}
	for _, p := range q.Nodes {
		if us, ok := p.from(q.From); ok {
			list = append(list, distance{p.Node, whole(us)})
		}
	}
	return map[string]any{"nodes": list}
}

// paths finds the quickest ways by one and by two others.
func paths(q question) any {
	list := []detour{}
	for _, a := range q.Nodes {
		there, ok := a.from(q.From)
		if !ok {
			continue
		}
		if on, ok := far(a.Coordinate, q.To.Coordinate); ok {
			list = append(list, detour{[]string{a.Node}, whole(there + on)})
		}
		for _, b := range q.Nodes {
			between, ok1 := far(a.Coordinate, b.Coordinate)
			if on, ok2 := far(b.Coordinate, q.To.Coordinate); ok1 && ok2 && a.Node != b.Node {
				list = append(list, detour{[]string{a.Node, b.Node}, whole(there + between + on)})
			}
		}
	}
	slices.SortStableFunc(list, func(x, y detour) int {
		return cmp.Or(cmp.Compare(len(x.Via), len(y.Via)), cmp.Compare(x.RTT, y.RTT))
	})
	list = list[:min(len(list), most)]
	slices.SortStableFunc(list, func(x, y detour) int { return cmp.Compare(x.RTT, y.RTT) })
	return map[string]any{"paths": list}
}

func answer(_ context.Context, r shim.Request) (any, error) {
	var q question
	if err := json.Unmarshal(r.Ask, &q); err != nil {
		return nil, &shim.Failure{Code: "ask", Text: err.Error()}
	}
	switch r.Call {
	case "near":
		return near(q), nil
	case "paths":
		return paths(q), nil
	}
	return nil, &shim.Failure{Code: "call", Text: "unknown"}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := shim.Open().Serve(ctx, "topology/1", answer); ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "topology:", err)
		os.Exit(1)
	}
}
