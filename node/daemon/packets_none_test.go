// SPDX-License-Identifier: Apache-2.0

//go:build no_builtin_packets

package daemon

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"croft/lease/leasetest"
	"croft/node/api"
)

// A node that was built without packets asks nobody until a slice is promoted, and all
// packets pass; then that slice's program says which do:
//
//	go test -tags no_builtin_packets ./node/daemon -run Without
func TestWithoutBuiltinPackets(t *testing.T) {
	inKernel(t, func(t *testing.T, h *hired, k *kernelOf) {
		if _, err := h.d.roles.AskRole(t.Context(), "packets", "program", json.RawMessage(`{}`)); !errors.Is(err, api.ErrNobody) {
			t.Errorf("answered: %v", err)
		}
		conn := h.answers(answerWith(t, leasetest.Key("alice"), "ron", []byte("quiet")))
		h.decideOn("packets", "try", h.slice)
		h.decideOn("packets", "promote", h.slice)
		h.m.pass(time.Second)
		k.expect(t, 1, "quiet")
		conn.Close()
		h.m.pass(programAgain)
		k.expect(t, 1, "quiet") // for a while
		h.m.pass(programValid + programAgain)
		k.expect(t, 0, "")
	})
}
