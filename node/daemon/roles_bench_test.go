// SPDX-License-Identifier: Apache-2.0

//go:build !no_builtin_discovery

package daemon

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

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
	inside := func(b testing.TB, socket string) func() {
		go answerInside(b, socket, built)
		return func() {}
	}
	b.Run("direct", func(b *testing.B) { ask(b, built, "") })
	b.Run("builtin", func(b *testing.B) { ask(b, people, role.Builtin) })
	b.Run("socket", func(b *testing.B) {
		t := o.atDoor(b, d, inside)
		defer heir(b, o, t, true)()
		ask(b, people, t)
	})
	b.Run("python", func(b *testing.B) {
		t := o.atDoor(b, d, finderAt)
		defer heir(b, o, t, true)()
		ask(b, people, t)
	})
	b.Run("shadowed", func(b *testing.B) { // by the same, while the built-in answers
		t := o.atDoor(b, d, finderAt)
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
	d := &Daemon{book: &namesBook{dir: b.TempDir(), log: slog.New(slog.DiscardHandler)}, cfg: Config{State: b.TempDir()}, deps: Deps{Key: leasetest.Key("node"), Clock: machineClock{}, Log: slog.New(slog.DiscardHandler), Discovery: built,
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
