// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"fmt"
	"strings"

	"croft/lease"
)

// The messages of allocator/1: docs/roles/allocator.md.
type (
	decideAsk struct {
		Ask      lease.ID        `json:"ask"`
		Now      int64           `json:"now"`
		Pool     lease.Pool      `json:"pool"`
		Capacity lease.RSet      `json:"capacity,omitzero"`
		By       lease.Principal `json:"by"`
		RSet     lease.RSet      `json:"rset"`
		From     int64           `json:"from"`
		Until    int64           `json:"until"`
		Renews   bool            `json:"renews,omitempty"`
		Bid      string          `json:"bid,omitempty"`
		Load     lease.RSet      `json:"load,omitzero"`
		Mine     lease.RSet      `json:"mine,omitzero"`
		Free     lease.RSet      `json:"free,omitzero"`
		Left     int64           `json:"left_ms,omitempty"`
	}
	decideDone struct {
		Ask   lease.ID `json:"ask"`
		Grant bool     `json:"grant,omitempty"`
		Says  string   `json:"says,omitempty"`
		Wait  int64    `json:"wait_ms,omitempty"`
	}
)

// decide is the call: a wish that there is room for → granted, refused, or later.
func (d *Daemon) decide() decision[decideAsk, decideDone] {
	return decision[decideAsk, decideDone]{role: "allocator", call: "decide",
		want: func(q *decideAsk) error {
			switch {
			case q.Ask.IsZero() || q.By.IsZero() || q.RSet.IsZero():
				return errors.New("want ask, by and rset")
			case len(q.Bid) > lease.MaxText:
				return fmt.Errorf("bid of %d bytes, limit %d", len(q.Bid), lease.MaxText)
			case q.Left < 0 || q.Left > decideLimit.Milliseconds():
				return fmt.Errorf("left_ms %d, limit %d", q.Left, decideLimit.Milliseconds())
			}
			return lease.CheckTerm(lease.Term{From: q.From, Until: q.Until})
		},
		check: func(q decideAsk, a *decideDone) error {
			foreign := func(r rune) bool { return r < ' ' || r > '~' }
			switch {
			case a.Ask != q.Ask:
				return fmt.Errorf("it decides about %s, and was asked about %s", a.Ask.Short(), q.Ask.Short())
			case len(a.Says) > maxSays || strings.ContainsFunc(a.Says, foreign):
				return fmt.Errorf("says: want at most %d of ASCII that print", maxSays)
			case a.Grant && a.Wait != 0:
				return errors.New("it grants, and has the asker wait")
			case a.Wait < 0 || a.Wait > q.Left:
				return fmt.Errorf("wait_ms %d, %d are left", a.Wait, q.Left)
			case a.Wait > 0 && a.Says != "":
				return errors.New("it has the asker wait, and says something")
			case !a.Grant && a.Wait == 0 && a.Says == "":
				return errors.New("it refuses and does not say why")
			}
			return nil
		},
		agree: func(_ decideAsk, given, other decideDone) float64 {
			switch {
			case given.Grant == other.Grant && (given.Wait > 0) == (other.Wait > 0):
				return 1
			case given.Wait > 0 || other.Wait > 0:
				return 0.5 // it may come to the same
			}
			return 0
		}}
}
