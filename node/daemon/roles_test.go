// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"croft/ebpf"
	"croft/lease"
	"croft/lease/leasetest"
	"croft/lease/offer"
	"croft/node/api"
	"croft/node/door"
	"croft/node/role"
	"croft/sandbox"
)

// hired is a node on which alice's sliver may serve a role.
type hired struct {
	*life
	t      *testing.T
	m      *world
	sliver string
	slice  string
	built  *known
}

// inOffice runs f in virtual time on a node with a built-in discovery that knows
// three nodes, and a sliver of alice's slice.
func inOffice(t *testing.T, f func(t *testing.T, h *hired)) {
	t.Helper()
	inBubble(t, func(t *testing.T, m *world) { f(t, hire(t, m)) })
}

func hire(t *testing.T, m *world) *hired {
	t.Helper()
	now := time.Now()
	h := &hired{t: t, m: m, built: &known{offers: []offer.Opened{offerOf(t, now, "a", "NL", 1000), offerOf(t, now, "b", "DE", 2000), offerOf(t, now, "c", "NL", 3000)}}}
	m.finds, m.doors = h.built, newDoorModel()
	h.life = m.boot()
	alice := newPerson(t, "alice")
	h.sliver = lease.SliverName(alice.run(h.life, "a", time.Hour))
	m.settle()
	h.pays()
	h.slice = string(role.SliceTenant("ron", alice.key().Principal()))
	return h
}

// pays: the lease holds what the node moves both ways, also of who floods.
func (h *hired) pays() {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	limits := h.m.guards[h.sliver]
	limits.Egress = ebpf.Way{Rate: 1e9, Burst: 16 << 20, Packets: 1e6, PacketBurst: 1e5}
	limits.Ingress = limits.Egress
	h.m.guards[h.sliver] = limits
}

func (h *hired) decide(do, tenant string) api.Role {
	h.t.Helper()
	r, err := h.d.Node().Roles.Decide(h.t.Context(), "discovery", api.RoleWish{Do: do, Tenant: tenant})
	if err != nil {
		h.t.Fatalf("%s %s: %v", do, tenant, err)
	}
	return r
}

// find asks as the node's own people do.
func (h *hired) find(query string) (names []string, res offer.Result) {
	h.t.Helper()
	var told []string
	res, err := h.d.Node().Discovery.Seek(h.t.Context(), offer.FindRequest{Query: query, View: true}, func(f offer.Found) error {
		told = append(told, f.Offer.Name)
		return nil
	})
	if err != nil {
		h.t.Fatalf("find %s: %v", query, err)
	}
	for _, f := range res.Offers {
		names = append(names, f.Offer.Name)
	}
	slices.Sort(names)
	slices.Sort(told)
	if !slices.Equal(told, names) {
		h.t.Errorf("find %s: told %v, and the answer is %v", query, told, names)
	}
	return names, res
}

func (h *hired) tenant(name string) api.RoleTenant {
	h.t.Helper()
	all, err := h.d.Node().Roles.Roles(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	for _, t := range all[0].Tenants {
		if t.Tenant == name {
			return t
		}
	}
	return api.RoleTenant{}
}

// line is a part with offers.
func line(offers ...offer.Opened) string {
	var p findPart
	for _, o := range offers {
		p.Offers = append(p.Offers, findOffer{Signed: o.Bytes, Source: "finder"})
	}
	b, _ := json.Marshal(p)
	return `{"id":%d,"part":` + string(b) + `}`
}

func TestASliceFillsARole(t *testing.T) {
	inOffice(t, func(t *testing.T, h *hired) {
		names, res := h.find("country=NL")
		if fmt.Sprint(names) != "[a c]" || res.Tenant != "builtin" || res.Known != 3 || res.Removed[0].Count != 1 || res.Instead != "" {
			t.Errorf("builtin: %v, %+v", names, res)
		}
		if dir := h.m.runs[h.sliver].Door; dir != "/run/doors/"+h.sliver {
			t.Errorf("the sliver's door is %q", dir)
		}
		if run := h.m.runs[h.sliver]; h.m.doors.users != (door.Users{First: sandbox.UIDBase(run.Place), Count: sandbox.UIDs}) {
			t.Errorf("the door lets %+v in", h.m.doors.users)
		}

		// Tried: it sees the query and nothing else, and decides nothing.
		s := serve(t, h.m.doors.dial(t, h.sliver), func(role.Question) []string {
			return []string{line(h.built.offers[0]), `{"id":%d,"done":{"known":2,"matched":1,"removed":[{"constraint":"country=NL","count":1,"alone":1}]}}`}
		})
		h.m.pass(time.Second)
		if got := h.tenant(h.slice); got.Place != "offered" || !got.Here {
			t.Errorf("before it is tried: %+v", got)
		}
		h.decide("try", h.slice)
		if names, res = h.find("country=NL"); fmt.Sprint(names) != "[a c]" || res.Tenant != "builtin" {
			t.Errorf("tried: %v, %+v", names, res)
		}
		h.m.pass(time.Second)
		if got := h.tenant(h.slice); got.Place != "challenger" || got.Trials != 1 || got.Agreement != 0.5 || got.Failed != 0 {
			t.Errorf("tried: %+v", got)
		}
		if len(s.seen) == 0 {
			t.Fatalf("it was asked nothing: %+v", h.tenant(h.slice))
		}
		var ask struct {
			ID   uint64
			Call string
			MS   int64 `json:"within_ms"`
			Ask  map[string]any
		}
		if err := json.Unmarshal([]byte(s.seen[0]), &ask); err != nil || ask.Call != "find" || ask.MS != 3000 || ask.Ask["query"] != "country=NL" || len(ask.Ask) != 3 {
			t.Errorf("it was told %s, %v", s.seen[0], err)
		}

		// Promoted: its answer counts, as far as it is verified.
		h.decide("promote", h.slice)
		if names, res = h.find("country=NL"); fmt.Sprint(names) != "[a]" || res.Tenant != h.slice || res.Known != 2 || res.Matched != 1 || res.Offers[0].Source != "finder" {
			t.Errorf("promoted: %v, %+v", names, res)
		}
		var first, last struct {
			MS int64 `json:"within_ms"`
		}
		if err := errors.Join(json.Unmarshal([]byte(s.seen[0]), &first), json.Unmarshal([]byte(s.seen[len(s.seen)-1]), &last)); err != nil || first != last {
			t.Errorf("a question tells whether it is a trial: %s, %s", s.seen[0], s.seen[len(s.seen)-1])
		}
		if h.m.charged[h.sliver+" role egress"] < 500 || h.m.charged[h.sliver+" role ingress"] < 100 {
			t.Errorf("charged %v", h.m.charged)
		}

		// Gone: within the same request somebody else is asked, and it is said.
		s.conn.Close()
		h.m.pass(time.Second)
		if names, res = h.find("country=NL"); fmt.Sprint(names) != "[a c]" || res.Tenant != "builtin" {
			t.Errorf("gone: %v, %+v", names, res)
		}
	})
}

// Whatever a tenant does, who asks has the built-in's answer within the same request.
func TestHostileTenants(t *testing.T) {
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // when bubbles begin
	forged := offerOf(t, now, "mallory", "NL", 1)
	forged.Bytes = slices.Clone(forged.Bytes)
	forged.Bytes[len(forged.Bytes)-1] ^= 1
	dutch := offerOf(t, now, "n", "NL", 1)
	done := `{"id":%d,"done":{}}`
	endless := make([]string, role.MaxAnswer/role.MaxLine+2)
	for i := range endless {
		endless[i] = `{"id":%d,"part":{"offers":[]` + strings.Repeat(" ", role.MaxLine-100) + `}}`
	}
	for name, c := range map[string]struct {
		lines []string
		why   string
		takes time.Duration
		stays bool // connected
	}{
		"hangs":                {nil, "was silent", 3 * time.Second, true},
		"vanishes":             {[]string{line(dutch), "hang up"}, "hung up", 0, false},
		"forges":               {[]string{line(forged), done}, "lied: it brings an offer that is none", 0, true},
		"forges at last":       {[]string{line(dutch), line(forged), done}, "lied: it brings an offer that is none", 0, true},
		"garbage for an offer": {[]string{`{"id":%d,"part":{"offers":[{"signed":"AAAA"}]}}`, done}, "lied: it brings an offer that is none", 0, true},
		"a part that is none":  {[]string{`{"id":%d,"part":{"nodes":[]}}`, done}, "lied: a part that is none", 0, true},
		"an end that is none":  {[]string{`{"id":%d,"done":[]}`}, "lied: an end that is none", 0, true},
		"miscounts":            {[]string{`{"id":%d,"done":{"known":1,"matched":5}}`}, "lied: 5 of 1 match", 0, true},
		"gives up":             {[]string{`{"id":%d,"error":{"code":"busy","text":"not now"}}`}, "answered busy: not now", 0, true},
		"has no end":           {endless, "an answer of more than", 0, false},
		"answers twice":        {[]string{`{"id":%d,"error":{"code":"x","text":""}}`, done}, "answered x", 0, false},
		"answers another":      {[]string{`{"id":999,"done":{}}`}, "broke the role protocol", 0, false},
		"floods":               {slices.Repeat([]string{`{"id":%d,"part":{}}`}, role.MaxParts+1), "parts", 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			inOffice(t, func(t *testing.T, h *hired) {
				s := serve(t, h.m.doors.dial(t, h.sliver), func(role.Question) []string { return c.lines })
				h.decide("try", h.slice)
				h.decide("promote", h.slice)
				began := time.Now()
				names, res := h.find("country=NL")
				if fmt.Sprint(names) != "[a c]" || res.Tenant != "builtin" || !strings.Contains(res.Instead, c.why) || !strings.HasPrefix(res.Instead, "ron@") {
					t.Errorf("%v, %s, instead %q", names, res.Tenant, res.Instead)
				}
				if took := time.Since(began); took != c.takes {
					t.Errorf("it took %s, want %s", took, c.takes)
				}
				// It is passed over for a second, and that is said.
				if _, res := h.find("country=NL"); res.Tenant != "builtin" || !strings.HasPrefix(res.Instead, "ron@") || !strings.HasSuffix(res.Instead, " failed just now") && !strings.HasSuffix(res.Instead, " is not there") {
					t.Errorf("right after: %s, instead %q", res.Tenant, res.Instead)
				}
				h.m.pass(time.Second)
				if got := h.tenant(h.slice); got.Failed != 1 || got.Here != c.stays || !strings.Contains(got.Last, c.why) {
					t.Errorf("%+v", got)
				}
				select {
				case <-s.over:
				default:
					if !c.stays {
						t.Error("it is not hung up on")
					}
				}
			})
		})
	}
}

// What is not a lie: offers that lapsed on the way.
func TestLateOffersArePassedOver(t *testing.T) {
	inOffice(t, func(t *testing.T, h *hired) {
		old := offerOf(t, time.Now().Add(-time.Hour), "old", "NL", 1)
		serve(t, h.m.doors.dial(t, h.sliver), func(role.Question) []string { return []string{line(old, h.built.offers[2]), `{"id":%d,"done":{}}`} })
		h.decide("try", h.slice)
		h.decide("promote", h.slice)
		if names, res := h.find("country=NL"); fmt.Sprint(names) != "[c]" || res.Tenant != h.slice {
			t.Errorf("%v, %+v", names, res)
		}
	})
}

// A sliver may serve what it likes, in the name of its own slice alone, and once.
func TestAnotherSliverIsAnotherTenant(t *testing.T) {
	inOffice(t, func(t *testing.T, h *hired) {
		serve(t, h.m.doors.dial(t, h.sliver), func(role.Question) []string { return nil })
		c := h.m.doors.dial(t, h.sliver)
		fmt.Fprintln(c, `{"serve":"discovery/1"}`)
		b := make([]byte, 200)
		if n, err := c.Read(b); err != nil || !strings.Contains(string(b[:n]), `"code":"served"`) {
			t.Errorf("the second: %q, %v", b[:n], err)
		}
		bob := newPerson(t, "bob")
		other := lease.SliverName(bob.run(h.life, "b", time.Hour))
		h.m.settle()
		h.sliver = other
		h.pays()
		serve(t, h.m.doors.dial(t, other), func(role.Question) []string { return []string{`{"id":%d,"done":{}}`} })
		h.m.pass(time.Second)
		if got := h.tenant(string(role.SliceTenant("ron", bob.key().Principal()))); got.Place != "offered" {
			t.Errorf("%+v", got)
		}
		h.decide("try", h.slice)
		h.decide("promote", h.slice)
		if _, res := h.find(""); res.Tenant != "builtin" {
			t.Errorf("bob answers for alice: %+v", res)
		}
	})
}

// Who holds a role is on disk: a later daemon asks it as soon as it dials again.
func TestRolesSurviveTheDaemon(t *testing.T) {
	inOffice(t, func(t *testing.T, h *hired) {
		answer := func(role.Question) []string { return []string{line(h.built.offers[1]), `{"id":%d,"done":{}}`} }
		serve(t, h.m.doors.dial(t, h.sliver), answer)
		h.decide("try", h.slice)
		h.decide("promote", h.slice)
		h.kill()
		h.life = h.m.boot()
		h.m.settle()
		if got := h.tenant(h.slice); got.Place != "incumbent" || got.Here {
			t.Errorf("%+v", got)
		}
		if names, res := h.find(""); len(names) != 3 || res.Tenant != "builtin" {
			t.Errorf("%v, %+v", names, res)
		}
		if h.m.doors.made < 2 {
			t.Error("no door was made anew")
		}
		serve(t, h.m.doors.dial(t, h.sliver), answer)
		h.m.pass(time.Second)
		if names, res := h.find(""); fmt.Sprint(names) != "[b]" || res.Tenant != h.slice {
			t.Errorf("after it dialled again: %v, %+v", names, res)
		}
	})
}

// A sliver's door goes with it, and so does what it serves.
func TestDoorsGoWithTheirSlivers(t *testing.T) {
	inOffice(t, func(t *testing.T, h *hired) {
		s := serve(t, h.m.doors.dial(t, h.sliver), func(role.Question) []string { return []string{`{"id":%d,"done":{}}`} })
		h.decide("try", h.slice)
		h.decide("promote", h.slice)
		h.m.pass(2 * time.Hour) // its lease is over
		if len(h.m.doors.doors) != 0 {
			t.Errorf("left: %v", h.m.doors.doors)
		}
		select {
		case <-s.over:
		default:
			t.Error("it is still connected")
		}
		if got := h.tenant(h.slice); got.Place != "incumbent" || got.Here {
			t.Errorf("%+v", got)
		}
	})
}

// What a tenant forges as an end, or counts, reaches nobody's terminal as it is.
func TestWhatATenantSaysIsPlain(t *testing.T) {
	inOffice(t, func(t *testing.T, h *hired) {
		serve(t, h.m.doors.dial(t, h.sliver), func(role.Question) []string {
			return []string{`{"id":%d,"done":{"known":3,"matched":0,"missed":"gone\u001b[2J","nearest":"\u0007none","removed":[{"constraint":"cpu>=9","count":1,"alone":1}]}}`}
		})
		h.decide("try", h.slice)
		h.decide("promote", h.slice)
		_, res := h.find("country=FR")
		if res.Missed != "gone[2J" || res.Nearest != "none" || res.Known != 3 || len(res.Removed) != 1 || res.Removed[0].Constraint != "country=FR" {
			t.Errorf("%+v", res)
		}
	})
}

// Who is near the node finds out itself: what others send is cut to that, and counted.
func TestRoundTripsAreTheNodes(t *testing.T) {
	inOffice(t, func(t *testing.T, h *hired) {
		h.d.deps.Seeker = near{leasetest.Who("c")}
		serve(t, h.m.doors.dial(t, h.sliver), func(role.Question) []string {
			return []string{line(h.built.offers[0], h.built.offers[2]), `{"id":%d,"done":{"known":3,"matched":2,"removed":[{"constraint":"country=NL","count":1,"alone":1},{"constraint":"rtt<10ms","count":0,"alone":0}]}}`}
		})
		h.decide("try", h.slice)
		h.decide("promote", h.slice)
		names, res := h.find("country=NL & rtt<10ms")
		if fmt.Sprint(names) != "[c]" || res.Tenant != h.slice || res.Known != 3 || res.Matched != 1 || res.Removed[0].Count != 1 || res.Removed[1].Count != 1 {
			t.Errorf("%v, %+v", names, res)
		}
	})
}

// near has one node a millisecond away, and all others a second.
type near struct{ node lease.Principal }

func (near) Present(*offer.Offer) bool { return true }
func (n near) Options() offer.Options {
	return offer.Options{Measured: func(p lease.Principal) offer.Measured {
		if p == n.node {
			return offer.Measured{RTT: time.Millisecond}
		}
		return offer.Measured{RTT: time.Second}
	}}
}
func (n near) Answer(_ context.Context, q offer.Query, found []offer.Found) offer.Result {
	return offer.Answer(q, found, n.Options())
}

// What cannot be written down is not decided.
func TestRolesNeedADisk(t *testing.T) {
	inOffice(t, func(t *testing.T, h *hired) {
		if err := os.WriteFile(filepath.Join(h.m.state, "roles"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := h.d.Node().Roles.Decide(t.Context(), "discovery", api.RoleWish{Do: "try", Tenant: h.slice})
		if !errors.Is(err, api.ErrAgain) {
			t.Errorf("%v", err)
		}
		if got := h.tenant(h.slice); got.Tenant != "" {
			t.Errorf("%+v", got)
		}
		if names, res := h.find(""); len(names) != 3 || res.Tenant != "builtin" {
			t.Errorf("%v, %+v", names, res)
		}
	})
}

// A sliver asks by its door, and is not asked what it asks itself.
func TestASliverFindsByItsDoor(t *testing.T) {
	inOffice(t, func(t *testing.T, h *hired) {
		asked := 0
		serve(t, h.m.doors.dial(t, h.sliver), func(role.Question) []string { asked++; return []string{`{"id":%d,"done":{}}`} })
		h.decide("try", h.slice)
		c := h.m.doors.dial(t, h.sliver)
		fmt.Fprint(c, "GET /v1/find?query=country%3DDE HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n")
		text := &strings.Builder{}
		b := make([]byte, 4096)
		for {
			n, err := c.Read(b)
			text.Write(b[:n])
			if err != nil {
				break
			}
		}
		if strings.Contains(text.String(), `"tenant"`) || !strings.Contains(text.String(), base64.StdEncoding.EncodeToString(h.built.offers[1].Bytes)) {
			t.Errorf("answered %.600s", text)
		}
		h.decide("promote", h.slice)
		if _, err := newShim(h.d, door.Sliver{Name: h.sliver, Label: "ron", Owner: newPerson(t, "alice").key().Principal()}).Find(t.Context(), offer.FindRequest{}); err != nil || asked != 0 {
			t.Errorf("asked itself %d times, %v", asked, err)
		}
	})
}

// What slivers ask a challenger is told of only where the owner's configuration says
// so.
func TestWhoseRequestsAreShared(t *testing.T) {
	for share, want := range map[role.Share]int{role.ShareOwn: 1, role.ShareAll: 2} {
		inBubble(t, func(t *testing.T, m *world) {
			m.roles = map[string]RoleConfig{"discovery": {Share: share}}
			h := hire(t, m)
			s := serve(t, m.doors.dial(t, h.sliver), func(role.Question) []string { return []string{`{"id":%d,"done":{}}`} })
			h.decide("try", h.slice)
			bob := door.Sliver{Name: "bobs", Label: "web", Owner: newPerson(t, "bob").key().Principal()}
			if _, err := newShim(h.d, bob).Find(t.Context(), offer.FindRequest{}); err != nil {
				t.Fatal(err)
			}
			h.find("")
			m.pass(time.Second)
			if got := h.tenant(h.slice); int(got.Asked) != want || len(s.seen) != want {
				t.Errorf("share=%s: asked %d times, want %d", share, got.Asked, want)
			}
		})
	}
}

// A sliver has the node look for others no faster than the bound.
func TestSliversFindByTheirMeasure(t *testing.T) {
	inOffice(t, func(t *testing.T, h *hired) {
		s := newShim(h.d, door.Sliver{Name: h.sliver, Label: "ron", Owner: newPerson(t, "alice").key().Principal()})
		for range shimFindBurst {
			if _, err := s.Find(t.Context(), offer.FindRequest{}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.Find(t.Context(), offer.FindRequest{}); !errors.Is(err, api.ErrBusy) {
			t.Errorf("one more: %v", err)
		}
		h.m.pass(time.Second)
		if _, err := s.Find(t.Context(), offer.FindRequest{}); err != nil {
			t.Error(err)
		}
	})
}

func TestOwnersWishes(t *testing.T) {
	inOffice(t, func(t *testing.T, h *hired) {
		for _, c := range []struct {
			role string
			wish api.RoleWish
			want error
		}{
			{"emperor", api.RoleWish{Do: "try", Tenant: h.slice}, api.ErrNoRole},
			{"discovery", api.RoleWish{Do: "crown", Tenant: h.slice}, api.ErrBadRequest},
			{"discovery", api.RoleWish{Do: "try", Tenant: "web"}, api.ErrBadRequest},
			{"discovery", api.RoleWish{Do: "promote", Tenant: h.slice}, api.ErrRole},
			{"discovery", api.RoleWish{Do: "demote"}, api.ErrRole},
			{"discovery", api.RoleWish{Do: "drop", Tenant: h.slice}, api.ErrRole},
		} {
			if _, err := h.d.Node().Roles.Decide(t.Context(), c.role, c.wish); !errors.Is(err, c.want) {
				t.Errorf("%s %+v: %v", c.role, c.wish, err)
			}
		}
		h.built.fails = errFinder
		_, err := h.d.Node().Discovery.Find(t.Context(), offer.FindRequest{})
		if !errors.Is(err, api.ErrNobody) || !strings.Contains(err.Error(), "the index burns") {
			t.Errorf("%v", err)
		}
	})
}
