// SPDX-License-Identifier: Apache-2.0

package index

import (
	"context"
	"crypto/sha256"
	"net/netip"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"croft/dht"
)

// machine is a dht.Registration or a dht.Search.
type machine interface {
	Step(now time.Time, in dht.IndexInput) []dht.IndexEffect
	NextWake() (time.Time, bool)
}

// errand carries out what a machine wants: each look-up and request goes on beside
// the loop, and none is left when it ends.
type errand struct {
	x      *Index
	peers  map[dht.Key]peer.AddrInfo // that the machine was told of
	missed map[dht.Key]error         // look-ups that failed

	inputs  chan func() dht.IndexInput // called by the loop
	pending []dht.IndexInput
	asking  map[int]context.CancelFunc
	wait    sync.WaitGroup
}

func (x *Index) errand(peers map[dht.Key]peer.AddrInfo) *errand {
	return &errand{x: x, peers: peers, missed: map[dht.Key]error{}, inputs: make(chan func() dht.IndexInput), asking: map[int]context.CancelFunc{}}
}

// place is where a peer lies among the keys.
func place(id peer.ID) dht.Key { return sha256.Sum256([]byte(id)) }

// run drives a machine to its end, or until see, which gets its other effects, has
// had enough, or ctx ends, which is an error.
func (e *errand) run(ctx context.Context, m machine, see func(dht.IndexEffect) bool) error {
	begun := ctx
	ctx, cancel := context.WithCancel(ctx)
	defer e.wait.Wait()
	defer cancel()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for in := dht.IndexInput(dht.Tick{}); ; {
		for _, effect := range m.Step(time.Now(), in) {
			if _, over := effect.(dht.Ended); over || !e.do(ctx, effect, see) {
				return nil
			}
		}
		if len(e.pending) > 0 {
			in, e.pending = e.pending[0], e.pending[1:]
			continue
		}
		until := time.Hour
		if wake, ok := m.NextWake(); ok {
			until = time.Until(wake)
		}
		timer.Reset(until)
		select {
		case answer := <-e.inputs:
			in = answer()
		case <-timer.C:
			in = dht.Tick{}
		case <-begun.Done():
			return begun.Err()
		}
	}
}

// do carries out one effect, and reports whether to go on.
func (e *errand) do(ctx context.Context, effect dht.IndexEffect, see func(dht.IndexEffect) bool) bool {
	switch effect := effect.(type) {
	case dht.Route:
		before := e.infos(effect.Before)
		e.beside(ctx, func() func() dht.IndexInput {
			peers, cut, err := e.x.closest(ctx, effect, before)
			return func() dht.IndexInput { return e.routed(effect.Key, peers, cut, err) }
		})
	case dht.Send:
		if effect.To == e.x.at {
			e.pending = append(e.pending, dht.Replied{Number: effect.Number, Response: e.x.local(effect.Request, netip.Addr{})})
			return true
		}
		asking, cancel := context.WithCancel(ctx)
		e.asking[effect.Number] = cancel
		to := e.peers[effect.To]
		e.beside(ctx, func() func() dht.IndexInput {
			defer cancel()
			resp, err := e.x.ask(asking, to, effect.Request)
			return func() dht.IndexInput {
				delete(e.asking, effect.Number)
				if err != nil {
					return dht.Unheard{Number: effect.Number}
				}
				return dht.Replied{Number: effect.Number, Response: resp}
			}
		})
	case dht.Forget:
		e.asking[effect.Number]() // it is still under way
	default:
		return see(effect)
	}
	return true
}

func (e *errand) beside(ctx context.Context, do func() (answer func() dht.IndexInput)) {
	e.wait.Go(func() {
		select {
		case e.inputs <- do():
		case <-ctx.Done():
		}
	})
}

func (e *errand) infos(peers []dht.Key) (list []peer.AddrInfo) {
	for _, at := range peers {
		list = append(list, e.peers[at])
	}
	return list
}

// closest are the holders of a bucket.
func (x *Index) closest(ctx context.Context, want dht.Route, before []peer.AddrInfo) (peers []peer.AddrInfo, cut bool, err error) {
	if want.Calm {
		return x.cfg.Router.Homes(ctx, want.Key[:], dht.Replicas, before)
	}
	peers, err = x.cfg.Router.Closest(ctx, want.Key[:], dht.Replicas)
	return peers, false, err
}

func (e *errand) routed(key dht.Key, peers []peer.AddrInfo, cut bool, err error) dht.IndexInput {
	in := dht.Routed{Key: key, Failed: err != nil, Cut: cut}
	if err != nil {
		e.missed[key] = err
	}
	for _, p := range peers {
		at := place(p.ID)
		e.peers[at], in.Peers = p, append(in.Peers, at)
	}
	return in
}
