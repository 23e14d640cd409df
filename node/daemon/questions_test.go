// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"croft/lease/leasetest"
	"croft/node/api"
)

// Few questions to the record are worked on at once; whoever waits for too long
// is told so, and those after him are answered.
func TestQuestionsWaitForTheirTurn(t *testing.T) {
	inBubble(t, func(t *testing.T, m *world) {
		l := m.boot()
		door := l.d.Node().Audit.(audits)
		who := func(wait time.Duration) error {
			ctx, cancel := context.WithTimeout(t.Context(), wait)
			defer cancel()
			_, err := door.Who(ctx, api.Caller{Principal: leasetest.Who("mallory")}, api.WhoRequest{Src: netip.MustParseAddrPort("10.0.0.1:1"),
				Dst: netip.MustParseAddrPort("10.0.0.2:2"), Proto: "tcp", At: m.Wall()})
			return err
		}
		var busy []func()
		for range maxQuestions {
			done, err := door.turn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			busy = append(busy, done)
		}
		if err := who(time.Minute); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("who asked in vain was told %v", err)
		}
		if _, err := door.Flows(t.Context(), api.Caller{Principal: leasetest.Who("mallory")}, "no label"); !errors.Is(err, api.ErrBadRequest) {
			t.Errorf("nonsense waits for its turn: %v", err)
		}
		busy[0]()
		if err := who(time.Minute); err != nil {
			t.Errorf("after another was done: %v", err)
		}
		busy[1]()
	})
}
