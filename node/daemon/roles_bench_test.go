// SPDX-License-Identifier: Apache-2.0

//go:build !no_builtin_discovery

package daemon

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"croft/ebpf"
	"croft/lease/leasetest"
	"croft/lease/offer"
	"croft/node/api"
	"croft/node/door"
	"croft/node/role"
)

// crowd is how many nodes the queries of the benchmark are about, all of which match.
const crowd = 100

// BenchmarkRole is one query: the built-in called directly, through the role, and
// answered by others over a sliver's socket. What a lease would slow down is not.
func BenchmarkRole(b *testing.B) {
	d, built := roleBench(b)
	ask := func(b *testing.B, by api.Discovery, want role.Tenant) {
		for b.Loop() {
			res, err := by.Find(b.Context(), offer.FindRequest{Query: "cpu>=1", View: true})
			if err != nil || len(res.Offers) != crowd || want != "" && res.Tenant != string(want) {
				b.Fatalf("%d offers of %s, %v", len(res.Offers), res.Tenant, err)
			}
		}
	}
	people := discovery{d: d, own: true}
	o := d.roles.offices["discovery"]
	b.Run("direct", func(b *testing.B) { ask(b, built, "") })
	b.Run("builtin", func(b *testing.B) { ask(b, people, role.Builtin) })
	b.Run("socket", func(b *testing.B) {
		t, close := o.atDoor(b, d, "inside")
		defer close()
		defer heir(b, o, t, true)()
		ask(b, people, t)
	})
	b.Run("python", func(b *testing.B) {
		t, close := o.atDoor(b, d, "python")
		defer close()
		defer heir(b, o, t, true)()
		ask(b, people, t)
	})
	b.Run("shadowed", func(b *testing.B) { // by the same, while the built-in answers
		t, close := o.atDoor(b, d, "python")
		defer close()
		defer heir(b, o, t, false)()
		ask(b, people, role.Builtin)
	})
	b.Run("fallback", func(b *testing.B) { // from who hangs up at once
		for b.Loop() {
			once, err := newOffice(o.cfg, findTenant{built}, filepath.Join(d.cfg.State, "none"), d.deps.Log)
			if err != nil {
				b.Fatal(err)
			}
			gone := role.SliceTenant("gone", leasetest.Who("alice"))
			once.book.facts = []role.Fact{{Role: "discovery", Kind: role.FactHeld, Tenant: gone, At: time.Now()}}
			once.s = once.restored()
			if _, err := once.enter(gone, hangsUp{}); err != nil {
				b.Fatal(err)
			}
			d.roles.offices["discovery"] = once
			if res, err := people.Find(b.Context(), offer.FindRequest{Query: "cpu>=1", View: true}); err != nil || res.Instead == "" || len(res.Offers) != crowd {
				b.Fatalf("%+v, %v", res, err)
			}
			once.close()
		}
		d.roles.offices["discovery"] = o
	})
}

type hangsUp struct{}

func (hangsUp) Call(context.Context, role.Call, json.RawMessage, func(json.RawMessage) error) (json.RawMessage, error) {
	return nil, door.ErrGone
}

// roleBench is a daemon of which nothing runs but its roles.
func roleBench(b *testing.B) (*Daemon, *known) {
	b.Helper()
	built := &known{}
	for i := range crowd {
		name := fmt.Sprintf("n%d", i)
		o := &offer.Offer{Node: leasetest.Who(name), Name: name, Sequence: 1, Made: time.Now().Unix(), Until: time.Now().Unix() + 600,
			Free: []offer.Free{{Pool: "commons"}}}
		o.Free[0].RSet[0] = 1000
		sealed, err := offer.Seal(o, leasetest.Key(name))
		if err != nil {
			b.Fatal(err)
		}
		built.offers = append(built.offers, sealed)
	}
	d := &Daemon{cfg: Config{State: b.TempDir()}, deps: Deps{Key: leasetest.Key("node"), Clock: machineClock{}, Log: slog.New(slog.DiscardHandler), Discovery: built,
		View: func() (list []*offer.Opened) {
			for _, o := range built.offers {
				list = append(list, &o)
			}
			return list
		}}}
	d.opened = newOpenedOffers(&d.deps)
	var err error
	if d.roles, err = newRoles(d); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { d.roles.close() })
	return d, built
}

type noCharge struct{}

func (noCharge) Charge(context.Context, string, ebpf.Direction, ebpf.Channel, uint64) error {
	return nil
}

// atDoor has a slice serve the role at a door of its own: "inside", a goroutine that
// answers as the built-in does; "python", the finder of the examples. It returns when
// the slice can be asked.
func (o *office) atDoor(b *testing.B, d *Daemon, kind string) (role.Tenant, func()) {
	b.Helper()
	top, err := os.MkdirTemp("", "doors")
	if err != nil {
		b.Fatal(err)
	}
	l, at, err := door.Dir(filepath.Join(top, "n", "d")).Open("abcd", door.Users{First: uint32(os.Getuid()), Count: 1})
	if err != nil {
		b.Fatal(err)
	}
	who := door.Sliver{Name: "abcd", Label: kind, Owner: leasetest.Who("alice")}
	house := &door.House{Node: d.deps.Key.Principal(), Guard: noCharge{}, Roles: d.roles, Log: d.deps.Log,
		HTTP: func(who door.Sliver) *http.Server { return api.Server(api.Door(newShim(d, who), Version)) }}
	ctx, cancel := context.WithCancel(b.Context())
	over := make(chan error, 1)
	go func() { over <- house.Serve(ctx, l, who) }()
	socket := filepath.Join(at, door.SocketName)
	stop := func() {}
	switch kind {
	case "python":
		c := exec.CommandContext(ctx, "python3", "../../examples/finder/finder.py")
		c.Env = append(os.Environ(), "CROFT_SOCKET="+socket)
		if err := c.Start(); err != nil {
			b.Fatal(err)
		}
		stop = func() { _ = c.Wait() }
	default:
		go answerInside(b, socket, d.deps.Discovery)
	}
	ready := time.NewTicker(10 * time.Millisecond)
	defer ready.Stop()
	for limit := time.After(30 * time.Second); ; {
		o.mu.Lock()
		t := o.tenants[who.Tenant()]
		o.mu.Unlock()
		if t != nil && knowsAll(b, t) {
			break
		}
		select {
		case <-ready.C:
		case <-limit:
			b.Fatalf("%s does not serve", kind)
		}
	}
	return who.Tenant(), func() { cancel(); <-over; stop(); os.RemoveAll(top) }
}

// knowsAll reports whether a tenant has heard of every node.
func knowsAll(b *testing.B, t tenant) bool {
	call, _ := role.Discovery().Call("find")
	var done findDone
	raw, err := t.Call(b.Context(), call, json.RawMessage(`{"query":"","view":true,"constraints":[]}`), func(json.RawMessage) error { return nil })
	return err == nil && json.Unmarshal(raw, &done) == nil && done.Known == crowd
}

// heir has a slice hold the role, or be tried, until what it returns is called.
func heir(b *testing.B, o *office, t role.Tenant, holds bool) func() {
	b.Helper()
	do := func(in role.Input) {
		if why, err := o.decide(in); why != "" || err != nil {
			b.Fatal(in, why, err)
		}
	}
	do(role.Try{Tenant: t})
	if !holds {
		return func() { do(role.Drop{Tenant: t}) }
	}
	do(role.Promote{Tenant: t})
	return func() { do(role.Demote{}) }
}
