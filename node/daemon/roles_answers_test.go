// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"croft/lease"
	"croft/lease/leasetest"
	"croft/lease/offer"
	"croft/node/api"
	"croft/node/door"
	"croft/node/role"
)

// What does not match is left out, and refutes nothing: who sends it is not asked less,
// but agrees less.
func TestWhatDoesNotMatchIsLeftOut(t *testing.T) {
	inOffice(t, func(t *testing.T, h *hired) {
		serve(t, h.m.doors.dial(t, h.sliver), func(role.Question) []string {
			return []string{line(h.built.offers...), `{"id":%d,"done":{"known":3,"matched":3}}`}
		})
		h.decide("try", h.slice)
		h.find("country=NL")
		h.m.pass(time.Second)
		if got := h.tenant(h.slice); got.Trials != 1 || got.Failed != 0 || got.Agreement < 0.66 || got.Agreement > 0.67 {
			t.Errorf("two of its three match: %+v", got)
		}
		h.decide("promote", h.slice)
		if names, res := h.find("country=NL"); fmt.Sprint(names) != "[a c]" || res.Tenant != h.slice || res.Instead != "" || res.Matched != 2 {
			t.Errorf("%v, %+v", names, res)
		}
	})
}

// Of a slice's answer nobody is told before all of it holds, and a repeated offer is one.
func TestARefutedAnswerTellsNothing(t *testing.T) {
	inOffice(t, func(t *testing.T, h *hired) {
		now := time.Now()
		strange := []offer.Opened{offerOf(t, now, "x", "NL", 1), offerOf(t, now, "y", "NL", 1)}
		end := `{"id":%d,"done":{"known":1,"matched":5}}`
		serve(t, h.m.doors.dial(t, h.sliver), func(role.Question) []string { return []string{line(strange...), end} })
		h.decide("try", h.slice)
		h.decide("promote", h.slice)
		if names, res := h.find("country=NL limit 2"); fmt.Sprint(names) != "[a c]" || res.Tenant != "builtin" {
			t.Errorf("%v, %+v", names, res)
		}
		end = `{"id":%d,"done":{"known":2,"matched":2}}`
		strange = append(strange, strange[0], strange[0])
		h.m.pass(time.Second)
		if names, res := h.find("country=NL"); fmt.Sprint(names) != "[x y]" || res.Known != 2 {
			t.Errorf("%v, %+v", names, res)
		}
	})
}

// A fallback that was asked as a challenger answers with all that it found, also to who
// wants matches as they come.
func TestAFallbackOnTrialTellsItsNodes(t *testing.T) {
	inOffice(t, func(t *testing.T, h *hired) {
		fails := false
		serve(t, h.m.doors.dial(t, h.sliver), func(role.Question) []string {
			if fails {
				return nil
			}
			return []string{`{"id":%d,"done":{}}`}
		})
		h.decide("try", h.slice)
		h.decide("promote", h.slice)
		h.decide("try", "builtin")
		fails = true
		if names, res := h.find("country=NL"); fmt.Sprint(names) != "[a c]" || res.Tenant != "builtin" || !strings.Contains(res.Instead, "was silent") {
			t.Errorf("%v, %+v", names, res)
		}
	})
}

// The owner's rule is met by nodes that somebody else knows of, not by invented ones.
func TestInventedNodesDoNotAgree(t *testing.T) {
	inOffice(t, func(t *testing.T, h *hired) {
		now := time.Now()
		mine := []offer.Opened{offerOf(t, now, "x", "NL", 1), offerOf(t, now, "y", "NL", 1)}
		h.d.deps.View = nil
		serve(t, h.m.doors.dial(t, h.sliver), func(role.Question) []string {
			return []string{line(mine...), `{"id":%d,"done":{"known":2,"matched":2}}`}
		})
		h.decide("try", h.slice)
		h.find("country=NL limit 2")
		h.m.pass(time.Second)
		if got := h.tenant(h.slice); got.Trials != 1 || got.Agreement != 0 {
			t.Errorf("invented: %+v", got)
		}
		h.d.deps.View = func() []*offer.Opened { return []*offer.Opened{&mine[0]} }
		h.find("country=NL limit 2")
		h.m.pass(time.Second)
		if got := h.tenant(h.slice); got.Trials != 2 || got.Agreement != 0.25 {
			t.Errorf("one of them is known: %+v", got)
		}
	})
}

// Who is near is measured for an answer that is given, once, and not by the tenant's
// time; a trial has nothing measured.
func TestOnlyWhatIsGivenIsMeasured(t *testing.T) {
	inOffice(t, func(t *testing.T, h *hired) {
		slow := &slowly{near: near{leasetest.Who("c")}}
		h.d.deps.Seeker = slow
		serve(t, h.m.doors.dial(t, h.sliver), func(role.Question) []string {
			return []string{line(h.built.offers[0], h.built.offers[2]), `{"id":%d,"done":{}}`}
		})
		h.decide("try", h.slice)
		h.find("country=NL")
		h.m.pass(time.Minute)
		if slow.asked != 1 {
			t.Errorf("measured for %d answers, one was given", slow.asked)
		}
		h.decide("promote", h.slice)
		if _, res := h.find("country=NL"); res.Tenant != h.slice {
			t.Errorf("%+v", res)
		}
		if got := h.tenant(h.slice); got.P95 >= milliseconds(slowness) {
			t.Errorf("the tenant is said to have taken %g ms", got.P95)
		}
	})
}

const slowness = time.Second

// slowly takes its time to measure.
type slowly struct {
	near
	asked int
}

func (s *slowly) Answer(ctx context.Context, q offer.Query, found []offer.Found) offer.Result {
	s.asked++
	select {
	case <-time.After(slowness):
	case <-ctx.Done():
	}
	return s.near.Answer(ctx, q, found)
}

// A sliver is told neither who fills the role nor what that says.
func TestSliversDoNotLearnWhoAnswers(t *testing.T) {
	inOffice(t, func(t *testing.T, h *hired) {
		serve(t, h.m.doors.dial(t, h.sliver), func(q role.Question) []string {
			if strings.Contains(string(q.Ask), "FR") {
				return []string{`{"id":%d,"error":{"code":"no","text":"psst"}}`}
			}
			return []string{line(h.built.offers[0]), `{"id":%d,"done":{"missed":"psst"}}`}
		})
		h.decide("try", h.slice)
		h.decide("promote", h.slice)
		bob := newShim(h.d, door.Sliver{Name: "bobs", Label: "web", Owner: newPerson(t, "bob").key().Principal()})
		var told []offer.Found
		res, err := bob.Seek(t.Context(), offer.FindRequest{Query: "country=NL"}, func(f offer.Found) error { told = append(told, f); return nil })
		if err != nil || len(told) != 1 || told[0].Source != "node" || res.Tenant != "" || res.Instead != "" || res.Missed != "" {
			t.Errorf("%+v, %v; told %+v", res, err, told)
		}
		h.built.fails = errFinder
		_, err = bob.Find(t.Context(), offer.FindRequest{Query: "country=FR"})
		if !errors.Is(err, api.ErrNobody) || strings.Contains(err.Error(), "psst") || strings.Contains(err.Error(), "ron") || strings.Contains(err.Error(), "burns") {
			t.Errorf("%v", err)
		}
	})
}

// What a sliver asks about itself has a measure too: each is work of the node's loop.
func TestSliversAskByTheirMeasure(t *testing.T) {
	inOffice(t, func(t *testing.T, h *hired) {
		s := newShim(h.d, door.Sliver{Name: h.sliver, Label: "ron", Owner: newPerson(t, "alice").key().Principal()})
		h.d.deps.View = nil
		for name, ask := range map[string]func() error{
			"self":    func() error { _, err := s.Self(t.Context()); return err },
			"slivers": func() error { _, err := s.OwnSlivers(t.Context()); return err },
			"lease":   func() error { _, err := s.Lease(t.Context()); return err },
			"offers":  func() error { return s.Offers(t.Context(), 0, func(offer.Found) error { return nil }) },
		} {
			answered := 0
			for range shimAskBurst + 1 {
				switch err := ask(); {
				case err == nil:
					answered++
				case !errors.Is(err, api.ErrBusy):
					t.Errorf("%s: %v", name, err)
				}
			}
			if answered == 0 || answered > shimAskBurst {
				t.Errorf("%s is answered %d times at once", name, answered)
			}
			if _, err := s.Find(t.Context(), offer.FindRequest{}); !errors.Is(err, api.ErrBusy) {
				t.Errorf("after %s a query is answered: %v", name, err)
			}
			h.m.pass(time.Minute)
		}
		if list, err := s.OwnSlivers(t.Context()); err != nil || len(list) != 1 || !list[0].Self {
			t.Errorf("%+v, %v", list, err)
		}
	})
}

// The looks at the ledger find what they are to.
func TestLooksFindTheirSliver(t *testing.T) {
	inOffice(t, func(t *testing.T, h *hired) {
		bob := newPerson(t, "bob")
		other := lease.SliverName(bob.run(h.life, "b", time.Hour))
		h.m.settle()
		for name, owner := range map[string]lease.Principal{h.sliver: newPerson(t, "alice").key().Principal(), other: bob.key().Principal()} {
			list, err := newShim(h.d, door.Sliver{Name: name, Label: "ron", Owner: owner}).OwnSlivers(t.Context())
			if err != nil || len(list) != 1 || !slices.ContainsFunc(list, func(n api.OwnSliver) bool { return n.Self && n.Sliver == name }) {
				t.Errorf("%s: %+v, %v", name, list, err)
			}
		}
	})
}
