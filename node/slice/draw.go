// SPDX-License-Identifier: Apache-2.0

package slice

import (
	"fmt"
	"slices"

	"croft/lease"
	"croft/lease/purse"
)

// wish opens the redeem that the purse signed for a draw, and verifies that it
// is what was told and stands under that ticket: the node would refuse another,
// and its answer is verified against this one.
func (in Drawn) wish(draw DrawTicket, owner lease.Principal) (lease.Opened, error) {
	chain, err := lease.VerifyChain(in.Chain, draw.Node)
	if err != nil {
		return lease.Opened{}, fmt.Errorf("redeeming ticket %s: %w", draw.Wish.Ticket.Short(), err)
	}
	got, _, ok := chain.Redeem()
	want := draw.Wish
	if !ok || got.Issuer != owner || got.Parent != want.Ticket || got.RSet != want.RSet || got.Term() != want.Term ||
		got.Slice != want.Slice || got.Request != want.Request || got.Replaces != want.Replaces || got.Owner != want.Owner ||
		!slices.Equal(got.Ports, want.Ports) || want.Slot != purse.AnySlot && int(got.Slot) != want.Slot || want.FanOut != 0 && got.FanOut != want.FanOut {
		return lease.Opened{}, fmt.Errorf("redeeming ticket %s: the purse signed something else", want.Ticket.Short())
	}
	return chain.Leaf(), nil
}
