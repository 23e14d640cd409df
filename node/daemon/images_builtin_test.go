// SPDX-License-Identifier: Apache-2.0

//go:build !no_builtin_images

package daemon

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"croft/lease"
	"croft/lease/leasetest"
	"croft/node/api"
	"croft/node/role"
)

// The built-in answers the questions of testdata/conformance/images.json as any tenant must.
func TestTheBuiltinKnowsWhoHasImages(t *testing.T) {
	call, _ := role.Images().Call("holders")
	for _, c := range readImagesSuite(t).Cases {
		r := &imagesReading{}
		end, err := imagesTenant{leasetest.Who("node")}.Call(t.Context(), call, c.Ask, func(b json.RawMessage) error { return r.part(b) })
		if (err != nil) != c.Error {
			t.Errorf("%s: %v", c.Name, err)
		}
		if err != nil {
			continue
		}
		if _, err := r.end(end); err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
		for _, n := range c.Names {
			if !slices.Contains(r.nodes, n) {
				t.Errorf("%s: it does not name %s", c.Name, n)
			}
		}
	}
}

// Nodes do not all begin with the same one.
func TestTheOrderDiffersFromNodeToNode(t *testing.T) {
	a := imagesAsk{}
	for _, n := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		a.Among = append(a.Among, leasetest.Who(n))
	}
	first := map[string]bool{}
	for _, n := range a.Among {
		first[imagesTenant{n}.turn(a)[0].String()] = true
	}
	if len(first) < 3 {
		t.Errorf("eight nodes begin with %d", len(first))
	}
}

// A challenger is compared with the incumbent where the owner shares what others ask.
func TestAChallengerForImages(t *testing.T) {
	inBubble(t, func(t *testing.T, m *world) {
		s := &swarmModel{}
		m.hosts = func(_ *life, h *Hosting) { h.Swarm = s }
		m.roles = map[string]RoleConfig{"images": {Share: role.ShareAll}}
		h := hire(t, m)
		serveAs(t, h.m.doors.dial(t, h.sliver), "images/1", func(role.Question) []string {
			return []string{`{"id":%d,"part":{"nodes":["` + leasetest.Who("a").String() + `"]}}`, `{"id":%d,"done":{}}`}
		})
		h.imagesDo("try", h.slice)
		if _, err := h.fetch(lease.Digest{1}, "a", "b"); err != nil {
			t.Fatal(err)
		}
		h.m.pass(time.Second)
		all, err := h.d.Node().Roles.Roles(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(all, func(r api.Role) bool { return r.Role == "images" })
		j := slices.IndexFunc(all[i].Tenants, func(x api.RoleTenant) bool { return x.Tenant == h.slice })
		if got := all[i].Tenants[j]; got.Trials != 1 || got.Agreement != 0.5 {
			t.Errorf("%+v", got)
		}
	})
}
