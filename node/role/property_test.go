// SPDX-License-Identifier: Apache-2.0

package role_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"croft/node/role"
)

// history is a succession with an account of what it promised.
type history struct {
	t   *rapid.T
	cfg role.Config
	s   *role.Succession
	now time.Time

	facts  []role.Fact
	asked  map[uint64]bool          // under way
	over   map[uint64]bool          // given or failed
	chains map[uint64][]role.Tenant // who was in the chain while it was
	puts   map[uint64][]role.Tenant // that wait, in order
}

func (h *history) step(in role.Input) {
	h.t.Helper()
	before := h.s.Chain()
	out := h.s.Step(h.now, in)
	for id := range h.asked {
		if !h.over[id] {
			h.chains[id] = append(h.chains[id], before...)
		}
	}
	told := false
	for _, e := range out {
		switch e := e.(type) {
		case role.Fact:
			if told {
				h.t.Fatalf("%s: a fact comes after what is to be done: %v", in, out)
			}
			h.facts = append(h.facts, e)
			continue
		case role.Put:
			h.puts[e.ID] = append(h.puts[e.ID], e.Tenant)
			if !e.Trial && !slices.Contains(before, e.Tenant) {
				h.t.Fatalf("%s: %s is asked for good, and is none of %v", in, e.Tenant, before)
			}
			if !e.By.After(h.now) {
				h.t.Fatalf("%s: no time to answer: %s", in, e)
			}
		case role.Give:
			h.ends(in, e.ID)
			if !slices.Contains(h.chains[e.ID], e.Tenant) {
				h.t.Fatalf("%s: the answer of a mere challenger is given: %s", in, e)
			}
		case role.Fail:
			h.ends(in, e.ID)
		case role.Compare:
			if !h.over[e.ID] {
				h.t.Fatalf("%s: compared with nothing: %s", in, e)
			}
		}
		told = true
	}
	h.restores()
}

// ends: a request ends once.
func (h *history) ends(in role.Input, id uint64) {
	if !h.asked[id] || h.over[id] {
		h.t.Fatalf("%s: request %d ends twice, or nobody asked", in, id)
	}
	h.over[id] = true
}

// restores: the facts alone say who is tried and who holds the role.
func (h *history) restores() {
	for _, facts := range [][]role.Fact{h.facts, h.s.Facts()} {
		again := role.New(h.cfg)
		for _, f := range facts {
			again.Restore(f)
		}
		if !slices.Equal(again.Chain(), h.s.Chain()) {
			h.t.Fatalf("restored chain %v, was %v", again.Chain(), h.s.Chain())
		}
		tried := func(s *role.Succession) (list []role.Tenant) {
			for _, f := range s.Facts() {
				if f.Kind == role.FactTried {
					list = append(list, f.Tenant)
				}
			}
			return list
		}
		if !slices.Equal(tried(again), tried(h.s)) {
			h.t.Fatalf("restored trials %v, were %v", tried(again), tried(h.s))
		}
	}
}

// No request is lost: whatever tenants do, each ends once, with the answer of
// somebody who was in the chain. Facts come first and restore it.
func TestEveryRequestEndsOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rule, err := role.ParseRule(rapid.SampledFrom([]string{"", "after 2 requests", "after 3 requests, agreement >= 0.5, p95 <= incumbent"}).Draw(t, "rule"))
		if err != nil {
			t.Fatal(err)
		}
		h := &history{t: t, now: start, asked: map[uint64]bool{}, over: map[uint64]bool{}, chains: map[uint64][]role.Tenant{}, puts: map[uint64][]role.Tenant{},
			cfg: role.Config{Role: role.Discovery(), Builtin: rapid.Bool().Draw(t, "builtin"), Rule: rule,
				Share: rapid.SampledFrom([]role.Share{role.ShareOwn, role.ShareAll}).Draw(t, "share")}}
		h.s = role.New(h.cfg)
		who := rapid.SampledFrom([]role.Tenant{tenant("a"), tenant("b"), tenant("c"), role.Builtin})
		slice := rapid.SampledFrom([]role.Tenant{tenant("a"), tenant("b"), tenant("c")})
		var last uint64
		some := func() uint64 { return rapid.Uint64Range(1, max(last, 1)).Draw(t, "id") }
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			h.now = h.now.Add(time.Duration(rapid.Int64Range(0, 4000).Draw(t, "ms")) * time.Millisecond)
			switch rapid.IntRange(0, 13).Draw(t, "what") {
			case 0:
				h.step(role.Try{Tenant: who.Draw(t, "who")})
			case 1:
				h.step(role.Drop{Tenant: who.Draw(t, "who")})
			case 2:
				h.step(role.Promote{Tenant: who.Draw(t, "who")})
			case 3:
				h.step(role.Demote{})
			case 4, 5:
				h.step(role.Here{Tenant: slice.Draw(t, "who")})
			case 6:
				h.step(role.Gone{Tenant: slice.Draw(t, "who")})
			case 7, 8, 9:
				last++
				h.asked[last] = true
				in := role.Ask{ID: last, Call: "find", Own: rapid.Bool().Draw(t, "own")}
				if rapid.IntRange(0, 4).Draw(t, "asks itself") == 0 {
					in.Not = who.Draw(t, "not")
				}
				h.step(in)
			case 10, 11:
				id := some()
				if puts := h.puts[id]; len(puts) > 0 {
					h.step(role.Answered{ID: id, Tenant: rapid.SampledFrom(puts).Draw(t, "who"), Took: time.Millisecond,
						Why: rapid.SampledFrom([]string{"", "", "no"}).Draw(t, "why")})
				}
			case 12:
				h.step(role.Compared{ID: some(), Tenant: who.Draw(t, "who"), Agreement: rapid.Float64Range(-1, 2).Draw(t, "agreement"),
					Idle: rapid.Bool().Draw(t, "idle")})
			case 13:
				if id := some(); h.asked[id] && !h.over[id] {
					h.step(role.Abandon{ID: id})
					h.over[id] = true
				}
			}
		}
		for {
			wake, ok := h.s.NextWake()
			if !ok {
				break
			}
			if wake.Before(h.now) {
				wake = h.now
			}
			h.now = wake
			h.step(role.Tick{})
		}
		for id := range h.asked {
			if !h.over[id] {
				t.Fatalf("request %d has no end", id)
			}
		}
	})
}

// Who never answers is not asked more than MaxInFlight at once, and the node has
// no more than MaxRequests to remember.
func TestATenantThatHangsIsBounded(t *testing.T) {
	s := role.New(role.Config{Role: role.Discovery(), Builtin: true})
	a := tenant("a")
	for _, in := range []role.Input{role.Here{Tenant: a}, role.Try{Tenant: a}, role.Promote{Tenant: a}} {
		s.Step(start, in)
	}
	counts := map[string]int{}
	for id := range uint64(2 * role.MaxRequests) {
		for _, e := range s.Step(start, role.Ask{ID: id + 1, Call: "find", Own: true}) {
			switch e := e.(type) {
			case role.Put:
				counts[string(e.Tenant)]++
			case role.Fail:
				counts["fail"]++
				if e.Why != "builtin is busy" {
					t.Error(e)
				}
			}
		}
	}
	if counts[string(a)] != role.MaxInFlight || counts["builtin"] != role.MaxInFlight || counts["fail"] != 2*role.MaxRequests-2*role.MaxInFlight {
		t.Errorf("asked: %v", counts)
	}
}

// Slivers leave half of everything to the node's own people.
func TestSliversLeaveRoom(t *testing.T) {
	s := role.New(role.Config{Role: role.Discovery(), Builtin: true})
	id := uint64(0)
	ask := func(own bool, not role.Tenant) (put bool, why string) {
		id++
		for _, e := range s.Step(start, role.Ask{ID: id, Call: "find", Own: own, Not: not}) {
			switch e := e.(type) {
			case role.Put:
				put = true
			case role.Fail:
				why = e.Why
			}
		}
		return put, why
	}
	slices := 0
	for n := range role.MaxRequests {
		if put, why := ask(false, tenant("s"+string(rune('a'+n%26)))); put {
			slices++
		} else if why != "builtin is busy" && !strings.HasPrefix(why, "busy: 8 requests of this slice") {
			t.Fatal(why)
		}
	}
	own := 0
	for range role.MaxRequests {
		if put, _ := ask(true, ""); put {
			own++
		}
	}
	if slices != role.MaxInFlight/2 || own != role.MaxInFlight/2 {
		t.Errorf("%d requests of slivers are put, and %d of the node's own people", slices, own)
	}
}

// However many are silent, who asks has his end in time.
func TestARequestEndsInTime(t *testing.T) {
	s := role.New(role.Config{Role: role.Discovery()})
	for n := range role.MaxHolders {
		who := tenant("s" + string(rune('a'+n)))
		for _, in := range []role.Input{role.Here{Tenant: who}, role.Try{Tenant: who}, role.Promote{Tenant: who}} {
			s.Step(start, in)
		}
	}
	now := start
	out := s.Step(now, role.Ask{ID: 1, Call: "find", Own: true})
	for asked := 0; ; asked++ {
		for _, e := range out {
			if _, ok := e.(role.Fail); ok {
				if took := now.Sub(start); took > role.MaxWhole || asked != role.MaxHolders {
					t.Errorf("%d are asked, for %s", asked, took)
				}
				return
			}
		}
		wake, ok := s.NextWake()
		if !ok {
			t.Fatal("it has no end")
		}
		now = wake
		out = s.Step(now, role.Tick{})
	}
}

func TestRolesAreMinimal(t *testing.T) {
	all := role.All()
	if len(all) != 10 {
		t.Errorf("%d roles", len(all))
	}
	for _, r := range all {
		if (r.Version > 0) != (len(r.Calls) > 0) || len(r.Calls) > 5 || r.Version > 0 && (r.Leaves == "" || r.Compared == "") {
			t.Errorf("%s: %+v", r.Name, r)
		}
		for _, c := range r.Calls {
			if c.Within <= 0 || c.Last < c.Within || c.Bytes <= 0 || c.Bytes > role.MaxAnswer {
				t.Errorf("%s: %+v", r.Name, c)
			}
		}
		back, err := role.ParseVersioned(r.String())
		if (err == nil) != (r.Version > 0) || err == nil && back.Name != r.Name {
			t.Errorf("%s: %v %v", r, back, err)
		}
	}
}
