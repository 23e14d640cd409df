// SPDX-License-Identifier: Apache-2.0

//go:build !no_builtin_topology

package daemon

import (
	"cmp"
	"context"
	"slices"

	"croft/lease"
	"croft/lease/offer"
)

func init() {
	builtins["topology"] = func(*Daemon) tenant { return replies{"near": reply(nearByVivaldi), "paths": reply(pathsByVivaldi)} }
}

// far is how far a place is: as it was measured, else as coordinates have it, in
// microseconds; 0 if neither is known.
func (p place) far(from *offer.Coordinate) int64 {
	if p.RTT > 0 {
		return p.RTT
	}
	return min(offer.Estimate(from, p.Coordinate), farthest).Microseconds()
}

func nearByVivaldi(_ context.Context, q nearAsk) (done nearDone, err error) {
	for _, p := range q.Nodes {
		if us := p.far(q.From); us > 0 {
			done.Nodes = append(done.Nodes, distance{p.Node, us})
		}
	}
	return done, nil
}

// pathsByVivaldi goes by one other node, to which the way is known.
func pathsByVivaldi(_ context.Context, q pathsAsk) (done pathsDone, err error) {
	for _, p := range q.Nodes {
		there, on := p.far(q.From), place{Coordinate: q.To.Coordinate}.far(p.Coordinate)
		if there > 0 && on > 0 {
			done.Paths = append(done.Paths, detour{[]lease.Principal{p.Node}, min(there+on, farthest.Microseconds())})
		}
	}
	slices.SortStableFunc(done.Paths, func(a, b detour) int { return cmp.Compare(a.RTT, b.RTT) })
	done.Paths = done.Paths[:min(len(done.Paths), maxPaths)]
	return done, nil
}
