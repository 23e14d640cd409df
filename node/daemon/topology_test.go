// SPDX-License-Identifier: Apache-2.0

//go:build !no_builtin_topology

package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
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
	e, asked := &a.estimates, 0
	by := e.ask
	e.ask = func(ctx context.Context, nodes []place) ([]distance, error) {
		if asked += len(nodes); len(nodes) > maxPlaced {
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
	if rtt, ok := e.of(leasetest.Who("n2")); !ok || rtt != 3*time.Millisecond || asked != mostPlaced {
		t.Errorf("%s, %t, %d asked about", rtt, ok, asked)
	}
	if _, ok := e.of(measured.Node); ok {
		t.Error("who was measured is estimated")
	}
	learn() // those who had no room
	if asked != mostPlaced+11 {
		t.Errorf("%d asked about", asked)
	}
	learn()
	if asked != mostPlaced+11 {
		t.Errorf("%d asked about, again", asked)
	}
	e.ask = func(context.Context, []place) ([]distance, error) { return nil, errors.New("nobody") }
	e.learn(t.Context(), []place{placedAt("n4", 1, 0)})
	if _, ok := e.of(leasetest.Who("n4")); ok {
		t.Error("what nobody answered is known")
	}
}
