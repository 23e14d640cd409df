// SPDX-License-Identifier: Apache-2.0

//go:build !no_builtin_topology && !no_builtin_discovery

package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"croft/lease"
	"croft/lease/leasetest"
	"croft/lease/offer"
)

// atlas is where nodes are, as a test says.
type atlas struct {
	at        offer.Coordinate
	places    []place
	estimates estimates
}

func (a *atlas) Coordinate() *offer.Coordinate { return &a.at }
func (a *atlas) Estimates() *estimates         { return &a.estimates }
func (a *atlas) Place(node lease.Principal) place {
	for _, p := range a.places {
		if p.Node == node {
			return p
		}
	}
	return place{Node: node}
}
func (a *atlas) Around(to lease.Principal, most int) (list []place) {
	for _, p := range a.places {
		if p.Node != to && len(list) < most {
			list = append(list, p)
		}
	}
	return list
}

func placedAt(name string, x, rtt int32) place {
	return place{Node: leasetest.Who(name), Coordinate: &offer.Coordinate{Vector: [4]int32{x}, Error: 9}, RTT: int64(rtt)}
}

// What people ask about by name alone, the node adds what it knows of.
func TestTopologyIsAskedWithWhatIsKnown(t *testing.T) {
	a := &atlas{at: offer.Coordinate{Error: 9}, places: []place{placedAt("n1", 4000, 0), placedAt("n2", 9000, 8000)}}
	d := quiet(t, t.TempDir(), Deps{Whereabouts: a})
	ask := func(call string, q any, done any) {
		t.Helper()
		r, err := d.roles.AskRole(t.Context(), "topology", call, encoded(t, q))
		if err != nil || json.Unmarshal(r.Answer, done) != nil {
			t.Fatalf("%s: %s, %v", call, r.Answer, err)
		}
	}
	var near nearDone
	ask("near", nearAsk{Nodes: []place{{Node: leasetest.Who("n1")}, {Node: leasetest.Who("n2")}, {Node: leasetest.Who("n3")}}}, &near)
	if len(near.Nodes) != 2 || near.Nodes[0].RTT != 4000 || near.Nodes[1].RTT != 8000 {
		t.Errorf("%+v", near)
	}
	var paths pathsDone
	ask("paths", pathsAsk{To: place{Node: leasetest.Who("n2")}}, &paths)
	if len(paths.Paths) != 1 || paths.Paths[0].Via[0] != leasetest.Who("n1") || paths.Paths[0].RTT != 9000 {
		t.Errorf("%+v", paths)
	}
}

// An estimate is asked for once a minute, of those who were not measured, some at a time.
func TestEstimatesAreTheTopologys(t *testing.T) {
	a := &atlas{at: offer.Coordinate{Error: 9}}
	d := quiet(t, t.TempDir(), Deps{Whereabouts: a})
	d.estimated(&a.estimates)
	e := &a.estimates
	var asked atomic.Int64
	by := e.ask
	e.ask = func(ctx context.Context, nodes []place) ([]distance, error) {
		if asked.Add(int64(len(nodes))); len(nodes) > maxPlaced {
			t.Errorf("%d at once", len(nodes))
		}
		return by(ctx, nodes)
	}
	var all []place
	for i := range mostPlaced + 10 {
		all = append(all, place{Node: lease.Principal{1, byte(i), byte(i >> 8)}, Coordinate: &offer.Coordinate{Height: int32(i + 1), Error: 9}})
	}
	measured := placedAt("n1", 1, 5000)
	learn := func() { e.learn(t.Context(), append([]place{measured, placedAt("n2", 3000, 0)}, all...)) }
	learn()
	if rtt, ok := e.of(leasetest.Who("n2")); !ok || rtt != 3*time.Millisecond || asked.Load() != mostPlaced {
		t.Errorf("%s, %t, %d asked about", rtt, ok, asked.Load())
	}
	if _, ok := e.of(measured.Node); ok {
		t.Error("who was measured is estimated")
	}
	learn() // those who had no room
	if asked.Load() != mostPlaced+11 {
		t.Errorf("%d asked about", asked.Load())
	}
	learn()
	if asked.Load() != mostPlaced+11 {
		t.Errorf("%d asked about, again", asked.Load())
	}
	e.ask = func(context.Context, []place) ([]distance, error) { return nil, errors.New("nobody") }
	e.learn(t.Context(), []place{placedAt("n4", 1, 0)})
	if _, ok := e.of(leasetest.Who("n4")); ok {
		t.Error("what nobody answered is known")
	}
}

// What was not asked about is as far as the coordinates say; what was, as the role does.
func TestEstimatesFallBackToCoordinates(t *testing.T) {
	var e estimates
	found := plain(3)
	e.put([]place{{Node: who(0)}, {Node: who(1)}}, []distance{{Node: who(0), RTT: 7000}})
	by := e.by(&offer.Coordinate{Error: 100})
	for i, want := range []time.Duration{7 * time.Millisecond, 0, 30 * time.Millisecond} {
		if got := by(&found[i].Offer); got != want {
			t.Errorf("n%02d: %s, want %s", i, got, want)
		}
	}
}

// Whoever fills the role topology says whom the built-in discovery finds near; who never
// answers takes none of the time to measure.
func TestTheBuiltinFinderHeedsTheTopology(t *testing.T) {
	j := newJoiner(t, "s", t.TempDir(), true)
	synctest.Test(t, func(t *testing.T) {
		q, err := offer.ParseQuery("rtt<50ms order by rtt")
		if err != nil {
			t.Fatal(err)
		}
		o := &overlay{host: j.host, lookout: lookout{diagnoses: &diagnoses{}, estimates: &estimates{}}}
		answer := func(real map[lease.Principal]time.Duration) (offer.Result, *ways) {
			w := &ways{real: real, asked: map[lease.Principal]int{}}
			o.rtts = &rtts{known: map[lease.Principal]trip{}, probe: w.probe}
			return o.finder().answered(t.Context(), q, plain(2)), w
		}
		real := map[lease.Principal]time.Duration{who(0): 10 * time.Millisecond, who(1): 20 * time.Millisecond}
		o.estimates.ask = func(context.Context, []place) ([]distance, error) {
			return []distance{{Node: who(0), RTT: 90_000}, {Node: who(1), RTT: 1000}}, nil
		}
		if res, _ := answer(real); res.Matched != 1 || res.Offers[0].Offer.Node != who(1) {
			t.Errorf("%+v", res)
		}
		o.estimates.known = nil
		o.estimates.ask = func(ctx context.Context, _ []place) ([]distance, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		if res, w := answer(real); res.Matched != 2 || w.asked[who(0)] != 1 {
			t.Errorf("it is slow: %+v, %v", res, w.asked)
		}
	})
}
