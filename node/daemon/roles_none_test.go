// SPDX-License-Identifier: Apache-2.0

//go:build no_builtin_discovery

package daemon

import (
	"errors"
	"fmt"
	"testing"

	"croft/lease/offer"
	"croft/node/api"
	"croft/node/role"
)

// A node that was built without discovery has nobody for it until a slice is promoted,
// and then that slice alone:
//
//	go test -tags no_builtin_discovery ./node/daemon -run Without
func TestWithoutBuiltinDiscovery(t *testing.T) {
	inOffice(t, func(t *testing.T, h *hired) {
		if _, err := h.d.Node().Discovery.Find(t.Context(), offer.FindRequest{}); !errors.Is(err, api.ErrNobody) {
			t.Errorf("found by %v", err)
		}
		serve(t, h.m.doors.dial(t, h.sliver), func(role.Question) []string { return []string{line(h.built.offers[1]), `{"id":%d,"done":{}}`} })
		h.decide("try", h.slice)
		h.decide("promote", h.slice)
		if names, res := h.find(""); fmt.Sprint(names) != "[b]" || res.Tenant != h.slice {
			t.Errorf("%v, %+v", names, res)
		}
		if _, err := h.d.Node().Roles.Decide(t.Context(), "discovery", api.RoleWish{Do: "try", Tenant: "builtin"}); !errors.Is(err, api.ErrRole) {
			t.Errorf("what is not there is tried: %v", err)
		}
	})
}
