// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"croft/lease"
	"croft/lease/offer"
	"croft/node/role"
)

// Whatever a tenant sends, an answer has offers that nodes signed and that match, and
// sentences that can be printed.
func FuzzFindAnswer(f *testing.F) {
	now := time.Now()
	good, other := offerOf(f, now, "a", "NL", 1000), offerOf(f, now, "b", "DE", 1000)
	part := func(o offer.Opened) []byte {
		b, _ := json.Marshal(findPart{[]findOffer{{o.Bytes, "finder"}}})
		return b
	}
	f.Add(part(good), []byte(`{"known":3,"matched":1,"removed":[{"constraint":"country=NL","count":2,"alone":2}]}`))
	f.Add(part(other), []byte(`{"missed":"\u001b[2J"}`))
	f.Add([]byte(`{"offers":[{"signed":"AAAA"}]}`), []byte(`{"known":-1}`))
	f.Fuzz(func(t *testing.T, one, end []byte) {
		d := &Daemon{deps: Deps{Clock: machineClock{}, Log: slog.New(slog.DiscardHandler)}}
		d.opened = newOpenedOffers(&d.deps)
		q, err := offer.ParseQuery("country=NL")
		if err != nil {
			t.Fatal(err)
		}
		s := &seeking{d: d, query: q, taken: map[lease.Principal]bool{}, search: offer.NewSearch(q, offer.Options{}), more: make(chan struct{}, 1)}
		r := newFindReading(s, role.Builtin, false)
		if r.part(one) != nil {
			return
		}
		got, err := r.end(end)
		if err != nil {
			return
		}
		res := got.(*findAnswer).result(t.Context())
		for _, o := range append(s.take(), res.Offers...) {
			if opened, err := offer.Open(o.Bytes, checkSite); err != nil || opened.Attributes.Country != "NL" {
				t.Fatalf("answered %+v, %v", o, err)
			}
		}
		for _, text := range []string{res.Missed, res.Nearest} {
			if text != role.Printable(text, role.MaxText) {
				t.Fatalf("told %q", text)
			}
		}
		if res.Known < 0 || res.Matched < len(res.Offers) || len(res.Removed) != 1 || strings.Contains(fmt.Sprint(res.Removed), "\x1b") {
			t.Fatalf("%+v", res)
		}
	})
}
