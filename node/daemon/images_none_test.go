// SPDX-License-Identifier: Apache-2.0

//go:build no_builtin_images

package daemon

import (
	"fmt"
	"testing"
	"testing/synctest"

	"croft/lease"
	"croft/lease/leasetest"
	"croft/node/role"
)

// A node that was built without the role's tenant gets an image from the nodes that were
// named, and from those that a successor names as soon as there is one:
//
//	go test -tags no_builtin_images ./node/daemon -run WithoutBuiltinImages
func TestWithoutBuiltinImages(t *testing.T) {
	inImages(t, func(t *testing.T, h *hired, s *swarmModel) {
		if _, err := h.fetch(lease.Digest{1}, "a"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := names(s.named); fmt.Sprint(got) != "[a]" {
			t.Errorf("asked %v", got)
		}
		serveAs(t, h.m.doors.dial(t, h.sliver), "images/1", func(role.Question) []string {
			return []string{`{"id":%d,"part":{"nodes":["` + leasetest.Who("d").String() + `"]}}`, `{"id":%d,"done":{}}`}
		})
		h.imagesDo("try", h.slice)
		h.imagesDo("promote", h.slice)
		if _, err := h.fetch(lease.Digest{2}, "b"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := names(s.named); fmt.Sprint(got) != "[a d b]" {
			t.Errorf("asked %v", got)
		}
	})
}
