// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"encoding/json"
	"strings"
	"testing"

	"croft/lease/leasetest"
	"croft/node/role"
)

// What the owner wrote is told whatever a tenant leaves out, and what he did not is not
// told as his.
func TestTheOwnersBookComesFirst(t *testing.T) {
	s, _ := stage(t, "names")
	inOffice(t, func(t *testing.T, h *hired) {
		giveState(t, h, "names", s)
		carl, alice := leasetest.Who("carl").String(), "2w7uup6m44l3aoelzqtut26bjcwzs2nsh5c64g3al7kyo6cxnlca"
		serveAs(t, h.m.doors.dial(t, h.sliver), "names/1", func(q role.Question) []string {
			switch {
			case strings.Contains(string(q.Ask), "carl"):
				return []string{`{"id":%d,"done":{"principals":["` + carl + `"]}}`}
			case q.Call == "reverse":
				return []string{`{"id":%d,"done":{"names":[{"principal":"` + alice + `","name":"mallory"}]}}`}
			}
			return []string{`{"id":%d,"done":{}}`}
		})
		h.decideOn("names", "try", h.slice)
		h.decideOn("names", "promote", h.slice)
		for _, c := range []struct {
			call, ask, want string
			own             bool
		}{
			{"lookup", `{"name":"alice"}`, `{"principals":["` + alice + `"]}`, true},
			{"reverse", `{"principals":["` + alice + `"]}`, `{"names":[{"principal":"` + alice + `","name":"alice"}]}`, true},
			{"lookup", `{"name":"carl"}`, `{"principals":["` + carl + `"]}`, false},
			{"lookup", `{"name":"nobody"}`, `{}`, false},
		} {
			a, err := h.d.roles.AskRole(t.Context(), "names", c.call, json.RawMessage(c.ask))
			if err != nil || string(a.Answer) != c.want || a.Own != c.own || a.Tenant != h.slice {
				t.Errorf("%s %s: %s, %+v, %v", c.call, c.ask, a.Answer, a, err)
			}
		}
	})
}
