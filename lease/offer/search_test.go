// SPDX-License-Identifier: Apache-2.0

package offer

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// Whatever order candidates come in, and however many sources bring older ones:
// what is told was a match when it was told, of each node once and no more than
// the limit, and the result is that of asking when all is known.
func TestSearchTellsMatchesAndAnswersTheSame(t *testing.T) {
	queries := []string{"", "cpu>=500", "cpu>=500 & country=CH limit 3", "limit 2", "order by -cpu limit 4", "country!=CH spread by site", "rtt<80ms", "cpu>=9000"}
	rapid.Check(t, func(r *rapid.T) {
		q, err := ParseQuery(rapid.SampledFrom(queries).Draw(r, "query"))
		if err != nil {
			r.Fatal(err)
		}
		nodes := farm(8, func(int, *Offer) {})
		var in []Found
		for range rapid.IntRange(0, 40).Draw(r, "candidates") {
			f := nodes[rapid.IntRange(0, 7).Draw(r, "node")]
			o := f.Offer
			o.Sequence = rapid.Uint64Range(1, 3).Draw(r, "sequence")
			// One sequence is one offer.
			cpuNow := (o.Sequence*uint64(f.Offer.Name[4])*311 + 100) % 1000
			o.Free = append([]Free{}, o.Free...)
			cpu(&o, cpuNow)
			o.Closed = cpuNow%7 == 0
			o.Attributes.Country = []string{"CH", "DE"}[cpuNow%2]
			in = append(in, Found{Offer: o, Source: DHT})
		}
		s := NewSearch(q, Options{Salt: []byte("x")})
		told := map[string]bool{}
		for _, f := range in {
			full := s.Enough()
			if !s.Add(noon, f) {
				continue
			}
			ok, _ := q.Match(&f.Offer, Measured{})
			if id := f.Offer.Node.String(); !ok || f.Offer.Closed || told[id] || full || q.Ordered() {
				r.Fatalf("told %s@%d: match %v, closed %v, told %v", f.Offer.Name, f.Offer.Sequence, ok, f.Offer.Closed, told[id])
			} else {
				told[id] = true
			}
		}
		if q.Limit > 0 && len(told) > q.Limit {
			r.Fatalf("%d told", len(told))
		}
		got, want := Answer(q, s.Known(noon), Options{Salt: []byte("x")}), Answer(q, Merge(noon, in), Options{Salt: []byte("x")})
		if fmt.Sprint(got) != fmt.Sprint(want) {
			r.Fatalf("got %v\nwant %v", got, want)
		}
		if !q.Ordered() && !s.Enough() && len(told) < got.Matched {
			r.Fatalf("%d match, %d told", got.Matched, len(told))
		}
	})
}
