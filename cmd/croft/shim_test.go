// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"croft/ebpf"
	"croft/lease"
	"croft/lease/leasetest"
	"croft/lease/offer"
	"croft/node/api"
	"croft/node/door"
	"croft/node/role"
	"croft/shim"
)

// shimNode is a node as a sliver's program sees it.
type shimNode struct{ tenants chan *door.Tenant }

func (shimNode) Charge(context.Context, string, ebpf.Direction, ebpf.Channel, uint64) error {
	return nil
}

func (n shimNode) Enter(_ role.Role, _ role.Tenant, t *door.Tenant) (func(error), error) {
	n.tenants <- t
	return func(error) {}, nil
}

func (shimNode) Self(context.Context) (api.Self, error) {
	return api.Self{Sliver: "abcd", Slice: "web@x", Label: "web", Owner: leasetest.Who("alice"), Node: leasetest.Who("node"), Name: "uni-a/n1", Shim: api.ShimVersion}, nil
}

func (shimNode) OwnSlivers(context.Context) ([]api.OwnSliver, error) {
	return []api.OwnSliver{{Sliver: "abcd", Node: leasetest.Who("node"), State: "running", Public: "192.0.2.1", Ports: []lease.Port{{Proto: lease.UDP, Number: 2000, Inside: 53}}, Self: true}}, nil
}

func (shimNode) Lease(context.Context) (api.OwnLease, error) {
	return api.OwnLease{From: 1, Until: 2, Left: 3, State: "active", RSet: lease.RSet{lease.CPU: 100}}, nil
}

func (n shimNode) Find(ctx context.Context, req offer.FindRequest) (offer.Result, error) {
	if _, err := req.Parse(); err != nil {
		return offer.Result{}, err
	}
	return offer.Result{Offers: []offer.Found{found()}, Known: 4, Matched: 1, Tenant: "builtin"}, nil
}

func (n shimNode) Seek(ctx context.Context, req offer.FindRequest, tell func(offer.Found) error) (offer.Result, error) {
	return n.Find(ctx, req)
}

func (shimNode) Offers(_ context.Context, since int64, tell func(offer.Found) error) error {
	if since != 7 {
		return api.ErrBadRequest
	}
	return tell(found())
}

func found() offer.Found {
	return offer.Found{Offer: offer.Offer{Node: leasetest.Who("b"), Name: "uni-b/n1", Sequence: 9, Made: 8, Free: []offer.Free{{Pool: "commons", RSet: lease.RSet{lease.CPU: 5}}}},
		Bytes: []byte("signed"), Source: offer.DHT, Age: time.Second, RTT: 2 * time.Second}
}

// What a service is told by package shim is what the node's door serves, field by
// field, over a socket as slivers have it; and a role is served there.
func TestShimAndDoorAgree(t *testing.T) {
	top, err := os.MkdirTemp("", "shim") // short: a socket's path has a bound
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(top) })
	l, at, err := door.Dir(filepath.Join(top, "n", "d")).Open("abcd", door.Users{First: uint32(os.Getuid()), Count: 1})
	if err != nil {
		t.Fatal(err)
	}
	node := shimNode{make(chan *door.Tenant, 1)}
	house := &door.House{Node: leasetest.Who("node"), Guard: node, Roles: node, Log: slog.New(slog.DiscardHandler),
		HTTP: func(door.Sliver) *http.Server { return api.Server(api.Door(node, "1")) }}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	over := make(chan error, 1)
	go func() {
		over <- house.Serve(ctx, l, door.Sliver{Name: "abcd", Label: "web", Owner: leasetest.Who("alice")})
	}()
	t.Cleanup(func() { cancel(); <-over })

	s := shim.At(filepath.Join(at, door.SocketName))
	if self, err := s.Self(ctx); err != nil || self != (shim.Self{Sliver: "abcd", Slice: "web@x", Label: "web", Owner: leasetest.Who("alice").String(),
		Node: leasetest.Who("node").String(), Name: "uni-a/n1", Shim: shim.Version}) {
		t.Errorf("%+v, %v", self, err)
	}
	if list, err := s.Slivers(ctx); err != nil || len(list) != 1 || !list[0].Self || list[0].State != "running" || list[0].Public != "192.0.2.1" ||
		list[0].Ports[0] != (shim.Port{Proto: 17, Number: 2000, Inside: 53}) {
		t.Errorf("%+v, %v", list, err)
	}
	if tenancy, err := s.Lease(ctx); err != nil || tenancy.Left != 3 || tenancy.Until != 2 || tenancy.RSet["cpu"] != 100 || tenancy.State != "active" {
		t.Errorf("%+v, %v", tenancy, err)
	}
	same := func(f shim.Found) bool {
		return f.Offer.Node == leasetest.Who("b").String() && f.Offer.Name == "uni-b/n1" && f.Offer.Sequence == 9 && f.Offer.Free[0].RSet["cpu"] == 5 &&
			string(f.Signed) == "signed" && f.Source == "dht" && f.RTT == 2*time.Second && f.Age == time.Second
	}
	if res, err := s.Find(ctx, "cpu>=1"); err != nil || res.Known != 4 || res.Matched != 1 || !same(res.Offers[0]) {
		t.Errorf("%+v, %v", res, err)
	}
	if _, err := s.Find(ctx, "cpu>="); err == nil {
		t.Error("a bad query is answered")
	}
	heard := 0
	for f, err := range s.Offers(ctx, time.Unix(7, 0)) {
		if heard++; err != nil || !same(f) {
			t.Errorf("%+v, %v", f, err)
		}
	}
	if heard != 1 {
		t.Errorf("%d offers", heard)
	}

	topicsAgree(ctx, t, s)
	serving, stop := context.WithCancel(ctx)
	served := make(chan error, 1)
	go func() {
		served <- s.Serve(serving, "discovery/1", func(_ context.Context, r shim.Request) (any, error) {
			return map[string]int{"known": 1}, r.Part(r.Ask)
		})
	}()
	tenant := <-node.tenants
	call, _ := role.Discovery().Call("find")
	var parts []string
	done, err := tenant.Call(ctx, call, json.RawMessage(`{"query":"x"}`), func(p json.RawMessage) error { parts = append(parts, string(p)); return nil })
	if err != nil || string(done) != `{"known":1}` || len(parts) != 1 || parts[0] != `{"query":"x"}` {
		t.Errorf("%s, %v, %q", done, err, parts)
	}
	stop()
	<-served
}
