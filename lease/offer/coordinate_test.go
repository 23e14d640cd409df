// SPDX-License-Identifier: Apache-2.0

package offer

import (
	"errors"
	"slices"
	"testing"
	"time"

	"croft/lease"
)

func TestCoordinateTravelsInTheOffer(t *testing.T) {
	key := keyOf("n1")
	o := full(key)
	o.Coordinate = &Coordinate{Vector: [Dimensions]int32{-MaxReach, MaxReach, 1, 0}, Height: MaxReach, Error: MaxError}
	sealed := seal(t, o, key)
	got, err := Open(sealed.Bytes, nil)
	if err != nil || got.Coordinate == nil || *got.Coordinate != *o.Coordinate {
		t.Fatalf("%+v, %v", got.Coordinate, err)
	}
	t.Logf("%d bytes", len(sealed.Bytes))
	for name, v := range map[string]any{
		"short": []any{[]int{1, 2, 3}, 1, 1}, "long": []any{[]int{1, 2, 3, 4, 5}, 1, 1},
		"two parts": []any{[]int{1, 2, 3, 4}, 1}, "not whole": []any{[]any{1, 2, 3, 4.5}, 1, 1},
		"not a number": []any{[]any{1, 2, 3, 4}, 1, "NaN"},
	} {
		s, err := lease.SealAs(Domain, map[int]any{1: key.Principal(), 2: 1, 3: noon.Unix(), 4: noon.Unix() + 60,
			8: map[int]any{}, 10: lease.RSet{}, 12: lease.RSet{}, 16: v}, key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Open(s.Bytes(), nil); !errors.Is(err, lease.ErrSyntax) && !errors.Is(err, lease.ErrNotCanonical) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEstimate(t *testing.T) {
	at := func(x, y, height int32) *Coordinate {
		return &Coordinate{Vector: [Dimensions]int32{x, y}, Height: height, Error: 1}
	}
	for _, c := range []struct {
		a, b *Coordinate
		want time.Duration
	}{
		{nil, at(0, 0, 0), 0},
		{at(0, 0, 0), nil, 0},
		{at(0, 0, 0), at(0, 0, 0), time.Microsecond},
		{at(0, 0, 1000), at(30_000, 40_000, 500), 51_500 * time.Microsecond},
		{at(-MaxReach, 0, 0), at(MaxReach, 0, 0), 20 * time.Second},
	} {
		if got := Estimate(c.a, c.b); got != c.want {
			t.Errorf("%v to %v: %s, want %s", c.a, c.b, got, c.want)
		}
	}
}

func TestLight(t *testing.T) {
	zurich, sydney := &Position{Lat: 47_376, Lon: 8_541}, &Position{Lat: -33_868, Lon: 151_209}
	if got := Light(zurich, sydney); got < 108*time.Millisecond || got > 112*time.Millisecond { // 16,570 km
		t.Errorf("Zürich to Sydney and back: %s", got)
	}
	if got := Light(zurich, zurich) + Light(nil, sydney) + Light(sydney, nil); got != 0 {
		t.Errorf("nowhere: %s", got)
	}
}

// Round trips come from what was measured, else from coordinates, and the answer
// says which.
func TestRTTInQueries(t *testing.T) {
	from := farm(5, func(i int, o *Offer) {
		if i < 4 {
			o.Coordinate = &Coordinate{Vector: [Dimensions]int32{int32(i+1) * 20_000}, Error: 100}
		}
	})
	opt := Options{From: &Coordinate{Error: 100}}
	for query, want := range map[string][]string{
		"rtt<50ms order by rtt":    {"s0/n0", "s1/n1"},
		"rtt>=0.06s order by -rtt": {"s0/n3", "s2/n2"},
		"rtt!=20ms order by name":  {"s1/n1", "s1/n4", "s2/n2", "s0/n3"}, // what is not known satisfies !=
	} {
		got := namesOf(ask(t, query, from, opt).Offers)
		if slices.Sort(got); !slices.Equal(got, inOrder(want)) {
			t.Errorf("%s: %v, want %v", query, got, want)
		}
	}
	opt.Measured = func(p lease.Principal) Measured {
		if p == from[3].Offer.Node { // the coordinates say 80 ms
			return Measured{RTT: time.Millisecond}
		}
		return Measured{}
	}
	res := ask(t, "rtt<30ms order by rtt", from, opt)
	if got := namesOf(res.Offers); !slices.Equal(got, []string{"s0/n3", "s0/n0"}) {
		t.Fatalf("measured: %v", got)
	}
	if a, b := res.Offers[0], res.Offers[1]; a.RTT != time.Millisecond || a.Estimated || b.RTT != 20*time.Millisecond || !b.Estimated {
		t.Errorf("%s %v, %s %v", a.RTT, a.Estimated, b.RTT, b.Estimated)
	}
	if got := ask(t, "rtt<10ms", from, Options{}); got.Matched != 0 {
		t.Errorf("nowhere: %v", namesOf(got.Offers))
	}
	for query, want := range map[string]bool{"rtt<1s": true, "order by -rtt": true, "cpu>1 & rtt!=1s": true, "cpu>1 order by cpu": false, "": false} {
		if q, err := ParseQuery(query); err != nil || q.AsksRTT() != want {
			t.Errorf("%q: %v, %v", query, q.AsksRTT(), err)
		}
	}
}

func inOrder(s []string) []string { s = slices.Clone(s); slices.Sort(s); return s }

// A node that is said not to answer comes behind all others, and is there.
func TestDoubtedComeLast(t *testing.T) {
	from := farm(6, func(i int, o *Offer) { cpu(o, uint64(100*(i+1))) })
	opt := Options{Doubted: func(o *Offer) bool { return o.Name == "s2/n5" || o.Name == "s0/n3" }}
	if got := namesOf(ask(t, "order by -cpu", from, opt).Offers); !slices.Equal(got, []string{"s1/n4", "s2/n2", "s1/n1", "s0/n0", "s2/n5", "s0/n3"}) {
		t.Errorf("%v", got)
	}
	if got := namesOf(ask(t, "order by -cpu limit 3 spread by site", from, opt).Offers); slices.Contains(got, "s2/n5") || slices.Contains(got, "s0/n3") {
		t.Errorf("spread: %v", got)
	}
}
