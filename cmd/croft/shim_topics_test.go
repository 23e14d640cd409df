// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"iter"
	"testing"

	"croft/gossip/topic"
	"croft/lease"
	"croft/lease/leasetest"
	"croft/node/api"
	"croft/shim"
)

func (shimNode) Publish(_ context.Context, name topic.Name, data []byte) (api.Said, error) {
	switch {
	case name == topic.Name{Topic: "load"}:
		return api.Said{ID: lease.ID{1}, Neighbours: 2, Here: len(data)}, nil
	case name == topic.Name{Owner: leasetest.Who("bob"), Slice: "web", Topic: "load"}:
		return api.Said{}, api.ErrNotGranted
	}
	return api.Said{}, api.ErrNoRecord
}

func (shimNode) Say(context.Context, []byte) (api.Said, error) { return api.Said{}, api.ErrBusy }

func (shimNode) Hear(ctx context.Context, name topic.Name, ready func()) iter.Seq2[api.Heard, error] {
	return func(yield func(api.Heard, error) bool) {
		if name.Topic == "full" {
			yield(api.Heard{}, api.ErrBusy)
			return
		}
		ready()
		if yield(api.Heard{ID: lease.ID{1}, Author: leasetest.Who("b"), Made: 7, Data: []byte("hello"), Missed: 3}, nil) {
			yield(api.Heard{}, api.ErrNoRoom)
		}
	}
}

func (n shimNode) OwnLeases(ctx context.Context) iter.Seq2[api.OwnLease, error] {
	return func(yield func(api.OwnLease, error) bool) {
		first, _ := n.Lease(ctx)
		next := first
		next.Until++
		_ = yield(first, nil) && yield(next, nil)
	}
}

func (shimNode) Counted(context.Context) (api.Figures, error) {
	return api.Figures{OutRate: 8, InRate: 7, Daily: 6, DailyLeft: 5, OutPacketsLeft: 13, InPacketsLeft: 14, Flows: api.LiveFlows{Limit: 4, Out: 3, In: 2},
		Out: api.Way{SeenPackets: 11, SeenBytes: 12, PassedPackets: 9, PassedBytes: 10, Dropped: map[string]uint64{"packets": 2}}}, nil
}

func (shimNode) Paths(context.Context) ([]api.Path, error) {
	return []api.Path{{Node: leasetest.Who("b"), Name: "b", Way: "relayed", RTT: 1.5, Age: 2, Asked: 4, Missed: 1, Loss: 0.25}}, nil
}

func (shimNode) Path(_ context.Context, node lease.Principal) (api.Path, error) {
	return api.Path{Node: node, Way: "none", RTT: 9, Estimated: true}, nil
}

// topicsAgree is TestShimAndDoorAgree about topics and facts.
func topicsAgree(ctx context.Context, t *testing.T, s *shim.Node) {
	t.Helper()
	b := leasetest.Who("b").String()
	if told, err := s.Publish(ctx, "load", []byte("abc")); err != nil || told != (shim.Told{ID: lease.ID{1}.String(), Neighbours: 2, Here: 3}) {
		t.Errorf("%+v, %v", told, err)
	}
	if told, err := s.Publish(ctx, "load", nil); err != nil || told.Here != 0 {
		t.Errorf("%+v, %v", told, err)
	}
	for name, want := range map[string]error{"web@" + leasetest.Who("bob").String() + "/load": shim.ErrNotAllowed, "other": shim.ErrNotKnown} {
		if _, err := s.Publish(ctx, name, nil); !errors.Is(err, want) || !errors.Is(err, shim.ErrRefused) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, bad := range []string{"", "a/b", "/b", "@/b", "a@/b", "@o/b", "a@o/", "a@o@p/b", "a@o/b/c", "a?b", "a b"} {
		if _, err := s.Subscribe(ctx, bad); err == nil || errors.Is(err, shim.ErrRefused) {
			t.Errorf("topic %q: %v", bad, err)
		}
	}
	if _, err := s.Publish(ctx, "load", make([]byte, topic.MaxData+1)); err == nil || errors.Is(err, shim.ErrRefused) {
		t.Errorf("too long: %v", err)
	}
	heard, err := s.Subscribe(ctx, "load")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for m, err := range heard {
		switch n++; {
		case n == 1 && (err != nil || m.ID != lease.ID{1}.String() || m.Author != b || m.Made != 7 || string(m.Data) != "hello" || m.Missed != 3):
			t.Errorf("%+v, %v", m, err)
		case n == 2 && !errors.Is(err, shim.ErrNotAllowed):
			t.Errorf("it breaks off with %v", err)
		}
	}
	if n != 2 {
		t.Errorf("%d lines", n)
	}
	if _, err := s.Subscribe(ctx, "full"); !errors.Is(err, shim.ErrBusy) {
		t.Errorf("%v", err)
	}
	again := 0
	for m, err := range s.Hear(ctx, "load") { // it subscribes again
		if err == nil && string(m.Data) == "hello" {
			again++
		}
		if again == 2 {
			break
		}
	}
	var untils []int64
	for l, err := range s.Leases(ctx) {
		if err != nil {
			t.Error(err)
		}
		untils = append(untils, l.Until)
	}
	if len(untils) != 2 || untils[1] != untils[0]+1 {
		t.Errorf("leases until %v", untils)
	}
	if c, err := s.Traffic(ctx); err != nil || c.OutRate != 8 || c.InRate != 7 || c.Daily != 6 || c.DailyLeft != 5 || c.OutPacketsLeft != 13 || c.InPacketsLeft != 14 || c.Flows.Limit != 4 || c.Flows.Out != 3 || c.Flows.In != 2 ||
		c.Out.SeenPackets != 11 || c.Out.SeenBytes != 12 || c.Out.PassedPackets != 9 || c.Out.PassedBytes != 10 || c.Out.Dropped["packets"] != 2 {
		t.Errorf("%+v, %v", c, err)
	}
	if p, err := s.Paths(ctx); err != nil || len(p) != 1 || p[0] != (shim.Path{Node: b, Name: "b", Way: "relayed", RTT: 1.5, Age: 2, Asked: 4, Missed: 1, Loss: 0.25}) {
		t.Errorf("%+v, %v", p, err)
	}
	if p, err := s.Path(ctx, b); err != nil || p.Node != b || !p.Estimated || p.RTT != 9 {
		t.Errorf("%+v, %v", p, err)
	}
}
