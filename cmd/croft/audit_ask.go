// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"croft/lease"
	"croft/lease/offer"
	"croft/node/api"
	"croft/node/wire"
)

// ask puts the question to one node: to that behind the socket as its owner.
func (a *app) ask(ctx context.Context, w inquiry, node lease.Principal) (api.WhoAnswer, error) {
	if node == w.behind {
		return a.way().Who(ctx, w.WhoRequest)
	}
	n := a.way().Node(node, w.key)
	defer n.Close()
	if w.authority != nil {
		n.Under(w.authority)
	}
	return n.Who(ctx, w.WhoRequest)
}

func (a *app) askAll(ctx context.Context, w inquiry, nodes []offer.Offer) []said {
	all := make([]said, len(nodes))
	var asking sync.WaitGroup
	for i, n := range nodes {
		asking.Go(func() {
			answer, err := a.ask(ctx, w, n.Node)
			if err != nil {
				err = fmt.Errorf("asking %s: %w", n.Display(), err)
			}
			all[i] = said{node: n, answer: answer, err: err}
		})
	}
	asking.Wait()
	return all
}

// waitFor asks again until all nodes have committed to what they say.
func (a *app) waitFor(ctx context.Context, w inquiry, all []said) ([]said, error) {
	for {
		var until time.Time
		var nodes []offer.Offer
		for _, s := range all {
			nodes = append(nodes, s.node)
			if p := s.answer.Pending; p != nil && p.After(until) {
				until = *p
			}
		}
		if until.IsZero() {
			return all, nil
		}
		a.say("waiting until %s, when the node has committed to it", clockTime(until.Unix()))
		timer := time.NewTimer(max(time.Second, time.Until(until)))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		case <-timer.C:
		}
		all = a.askAll(ctx, w, nodes)
	}
}

// nodesAt finds the nodes whose address that is.
func (a *app) nodesAt(ctx context.Context, addr netip.Addr, only string) ([]offer.Offer, error) {
	if only != "" {
		o, err := a.nodeNamed(ctx, only)
		return []offer.Offer{o}, err
	}
	res, err := a.seek(ctx, offer.FindRequest{View: true})
	if err != nil {
		return nil, err
	}
	var at []offer.Offer
	for _, f := range res.Offers {
		for _, s := range f.Offer.Addrs {
			if ip, ok := wire.IP(s); ok && ip == addr {
				at = append(at, f.Offer)
				break
			}
		}
	}
	if len(at) == 0 {
		return nil, fail(exitNothing, "name the node with --node", "no known node is at %s", addr)
	}
	return at, nil
}
