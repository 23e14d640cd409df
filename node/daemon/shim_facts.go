// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"

	"croft/ebpf"
	"croft/lease"
	"croft/lease/offer"
	"croft/node/api"
	"croft/node/wire"
)

// Paths is what a node knows of the ways to others. It measures nothing.
type Paths interface {
	Path(node lease.Principal) api.Path
	Paths() []api.Path // of those that were probed of late
}

// Counted is what is counted of the sliver.
func (s shim) Counted(ctx context.Context) (api.Figures, error) {
	if err := s.may(shimCountedCost); err != nil {
		return api.Figures{}, err
	}
	entries, err := look(ctx, s.d, func(l *lease.Ledger) []lease.Entry {
		if e, ok := l.Sliver(s.who.Name); ok {
			return []lease.Entry{e}
		}
		return nil
	})
	if err != nil {
		return api.Figures{}, err
	}
	all, err := s.d.figures(ctx, entries)
	if err != nil && !errors.Is(err, ebpf.ErrNotAttached) {
		return api.Figures{}, err
	}
	if len(all) == 0 {
		return api.Figures{}, api.ErrNotRunning
	}
	return all[0], nil
}

func (s shim) Paths(context.Context) ([]api.Path, error) {
	if err := s.may(shimCountedCost); err != nil {
		return nil, err
	}
	if s.d.deps.Paths == nil {
		return []api.Path{}, nil
	}
	return s.d.deps.Paths.Paths(), nil
}

func (s shim) Path(_ context.Context, node lease.Principal) (api.Path, error) {
	if err := s.may(1); err != nil {
		return api.Path{}, err
	}
	if s.d.deps.Paths == nil {
		return api.Path{Node: node, Way: wayNone}, nil
	}
	return s.d.deps.Paths.Path(node), nil
}

// paths are what the overlay knows of them.
type paths struct{ o *overlay }

// The kinds of ways, by the connection that stands.
const (
	wayNone    = "none"
	wayDirect  = "direct"
	wayRelayed = "relayed"
)

func (p paths) Paths() []api.Path {
	list := []api.Path{}
	for _, node := range p.o.trips.nodes() {
		if path := p.Path(node); path.Asked > 0 {
			list = append(list, path)
		}
	}
	return list
}

func (p paths) Path(node lease.Principal) api.Path {
	path, probed := p.o.trips.path(node)
	path.Way = wayNone
	if id, err := wire.PeerID(node); err == nil {
		switch best, direct := bestConn(p.o.host.Network().ConnsToPeer(id)); {
		case direct:
			path.Way = wayDirect
		case best != nil:
			path.Way = wayRelayed
		}
	}
	if p.o.gossip == nil {
		return path
	}
	told, ok := p.o.gossip.Offer(node)
	if !ok {
		return path
	}
	path.Name = told.Name
	if !probed {
		if here, ok := p.o.liveness().Coordinate(); ok {
			if rtt := offer.Estimate(&here, told.Coordinate); rtt > 0 {
				path.RTT, path.Estimated = float64(rtt.Microseconds())/1000, true
			}
		}
	}
	return path
}
