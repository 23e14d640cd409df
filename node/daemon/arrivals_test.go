// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"fmt"
	"testing"
	"time"

	"croft/lease/leasetest"
	"croft/lease/offer"
	"croft/node/door"
)

// Whatever the clocks of others are, who asks from time to time hears of each offer.
func TestOffersAreToldByTheirArrival(t *testing.T) {
	inOffice(t, func(t *testing.T, h *hired) {
		began := time.Now()
		late := offerOf(t, began.Add(-500*time.Second), "late", "NL", 1) // by a clock that is behind
		view := []*offer.Opened{&h.built.offers[0]}
		h.d.deps.View = func() []*offer.Opened { return view }
		s := newShim(h.d, door.Sliver{Name: h.sliver, Label: "ron", Owner: leasetest.Who("alice")})
		told := func(since time.Time) (names []string) {
			t.Helper()
			if err := s.Offers(t.Context(), since.Unix(), func(f offer.Found) error { names = append(names, f.Offer.Name); return nil }); err != nil {
				t.Fatal(err)
			}
			return names
		}
		if got := told(time.Unix(0, 0)); fmt.Sprint(got) != "[a]" {
			t.Errorf("at first %v", got)
		}
		h.m.pass(10 * time.Second)
		view = append(view, &late)
		if got := told(began.Add(5 * time.Second)); fmt.Sprint(got) != "[late]" {
			t.Errorf("then %v", got)
		}
		h.m.pass(10 * time.Second)
		if got := told(time.Now()); len(got) != 0 {
			t.Errorf("told again: %v", got)
		}
		if got := told(began); fmt.Sprint(got) != "[a late]" {
			t.Errorf("all: %v", got)
		}
	})
}
