// SPDX-License-Identifier: Apache-2.0

package dht_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"croft/dht"
	"croft/dht/dhttest"
	"croft/lease"
	"croft/lease/offer"
)

// A full bucket sends registrants away until half of it has gone, and readers
// after them for as long as what they have may hold.
func TestSplitEndsAtHalfLoadAndIsToldLonger(t *testing.T) {
	h := dht.NewHolder(dht.HolderConfig{PerBucket: 4})
	var all []offer.Opened
	for i := range 5 {
		all = append(all, dhttest.Offer(t, noon, fmt.Sprint("n", i), 1, func(o *offer.Offer) {
			if o.Until = noon.Unix() + 100; i == 4 {
				o.Until = noon.Unix() + 300
			}
			if i < 2 {
				o.Until = noon.Unix() + 200
			}
		}))
	}
	every := []dht.Key{dht.Every.Key()}
	register := func(i int, at int64) dht.Status {
		return step(t, h, noon.Add(time.Duration(at)*time.Second), dht.Register{all[i].Bytes, every, netip.Addr{}}).Status[0]
	}
	list := func(at int64) dht.Response {
		return step(t, h, noon.Add(time.Duration(at)*time.Second), dht.List{Bucket: every[0], Limit: 9})
	}
	for i := range 4 {
		if s := register(i, 0); s != dht.Stored {
			t.Fatalf("offer %d: %s", i, s)
		}
	}
	if list(0).Split {
		t.Error("nobody was sent away yet")
	}
	if s := register(4, 0); s != dht.Full || !list(0).Split {
		t.Errorf("the fifth of four: %s, split %v", s, list(0).Split)
	}
	if s := register(0, 99); s != dht.Stored {
		t.Errorf("who is there stays: %s", s)
	}
	if s := register(4, 100); s != dht.Stored { // two have run out: half load
		t.Errorf("at half load: %s", s)
	}
	if a := list(299); !a.Split || a.Size != 1 {
		t.Errorf("the fifth may be in a part still: %s", dht.Answer{a})
	}
	if a := list(300); a.Split {
		t.Errorf("and now not: %s", dht.Answer{a})
	}
	if _, ok := h.NextWake(); ok || h.Entries() != 0 {
		t.Errorf("something is left: %d entries", h.Entries())
	}
}

// One that is full stays so until half load, not only until one has gone.
func TestSplitDoesNotFlutter(t *testing.T) {
	h := dht.NewHolder(dht.HolderConfig{PerBucket: 4})
	for i := range 4 {
		if s := put(t, h, i, netip.Addr{}, func(o *offer.Offer) { o.Until -= int64(400 - 100*i) }); s != dht.Stored {
			t.Fatalf("offer %d: %s", i, s)
		}
	}
	for _, c := range []struct {
		at   int64
		want dht.Status
	}{{0, dht.Full}, {200, dht.Full}, {300, dht.Stored}} {
		o := dhttest.Offer(t, noon, "late", 1, nil)
		got := step(t, h, noon.Add(time.Duration(c.at)*time.Second), dht.Register{o.Bytes, []dht.Key{dht.Every.Key()}, netip.Addr{}}).Status[0]
		if got != c.want {
			t.Errorf("after %d s: %s, want %s", c.at, got, c.want)
		}
	}
}

func TestPartsAreOfTheNodesThatBeginSo(t *testing.T) {
	var node lease.Principal
	node[0], node[1] = 0b1010_0000, 0b1000_0000
	b := dht.Bucket{Attr: "country", Value: "ch"}
	if got := b.Toward(node, 9).Prefix; got != "101000001" {
		t.Errorf("prefix %s", got)
	}
	if b.Toward(node, 0) != b || b.Toward(node, 3).Whole() != b {
		t.Error("a part of no depth is the whole")
	}
	seen := map[dht.Key]dht.Bucket{b.Key(): b}
	for _, p := range []dht.Bucket{{"country", "ch", "0", 0}, {"country", "ch", "01", 0}, {"country", "ch/0", "", 0}, {"country", "ch", "1", 0}, {"country", "ch/01", "0", 0}, {"country", "ch", "", 1}, {"country", "ch", "0", 1}, {"country", "ch", "0", 2}} {
		if other, ok := seen[p.Key()]; ok {
			t.Errorf("%s has the key of %s", p, other)
		}
		seen[p.Key()] = p
	}
	deep := b.Toward(node, dht.MaxDepth)
	if len(deep.Parts()) != 0 || len(b.Parts()) != 2 || b.Parts()[1] != b.Toward(node, 1) {
		t.Errorf("parts %v, %v", b.Parts(), deep.Parts())
	}
	o := dhttest.Offer(t, noon, "a", 1, func(o *offer.Offer) { o.Attributes.Country = "CH" })
	mine, other := b.Toward(o.Node, 5), b.Toward(o.Node, 4).Parts()
	if !mine.Holds(&o.Offer) || other[0].Holds(&o.Offer) == other[1].Holds(&o.Offer) {
		t.Errorf("%s is in its half of a part, and in that only", o.Node)
	}
	h := dht.NewHolder(dht.HolderConfig{})
	for _, p := range append(other, mine) {
		want := dht.Alien
		if p.Holds(&o.Offer) {
			want = dht.Stored
		}
		if got := step(t, h, noon, dht.Register{o.Bytes, []dht.Key{p.Key()}, netip.Addr{}}).Status[0]; got != want {
			t.Errorf("in %s: %s, want %s", p, got, want)
		}
	}
}

func TestWhoGoesDeeper(t *testing.T) {
	for _, c := range []struct {
		asked, stored, full int
		want                bool
	}{
		{8, 8, 0, false}, {8, 0, 0, false}, // nobody is full: nothing is gained deeper
		{8, 7, 1, false}, {8, 6, 2, false}, // any three answers have one that stored it
		{8, 5, 1, true}, {8, 0, 8, true}, {1, 0, 1, true}, {2, 1, 1, true}, {4, 3, 1, false},
	} {
		if got := dht.Deeper(c.asked, c.stored, c.full); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
	yes, shown, no := dht.Heard{Split: true}, dht.Heard{Split: true, Shown: 129}, dht.Heard{Shown: 200}
	for _, c := range []struct {
		heard []dht.Heard
		want  bool
	}{
		{nil, false}, {[]dht.Heard{no, no, no}, false},
		{[]dht.Heard{yes, no, no}, false}, // a word by itself
		{[]dht.Heard{shown, no, no}, true}, {[]dht.Heard{yes, yes, no}, true}, {[]dht.Heard{yes, no}, true}, {[]dht.Heard{yes}, true},
	} {
		if got := dht.Parted(c.heard, dht.MaxEntries); got != c.want {
			t.Errorf("%+v: %v", c.heard, got)
		}
	}
}

// A node cannot have one holder keep it in all parts of all buckets.
func TestPlacesOfOneNodeAreBounded(t *testing.T) {
	h := dht.NewHolder(dht.HolderConfig{})
	o := dhttest.Offer(t, noon, "a", 1, func(o *offer.Offer) { o.Name, o.Attributes.Country, o.Attributes.AS = "s/a", "CH", 559 })
	busy := 0
	for d := range dht.MaxDepth + 1 {
		var keys []dht.Key
		for _, b := range dht.Buckets(&o.Offer) {
			keys = append(keys, b.Toward(o.Node, d).Key())
		}
		for _, s := range step(t, h, noon, dht.Register{o.Bytes, keys, netip.Addr{}}).Status {
			if s == dht.Busy {
				busy++
			}
		}
	}
	if h.Entries() != dht.MaxPlaces || busy == 0 {
		t.Errorf("%d entries, %d refused", h.Entries(), busy)
	}
}
