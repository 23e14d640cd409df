// SPDX-License-Identifier: Apache-2.0

package index

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"croft/dht"
	"croft/dht/dhttest"
	"croft/lease"
	"croft/lease/offer"
)

// Holders that lie in every way: whoever registered is found all the same, what
// they make others do is bounded, and what they said is counted.
func TestHostileHolders(t *testing.T) {
	const nodes = 60
	old := dhttest.Offer(t, noon, "n7", 1, func(o *offer.Offer) { o.Attributes.Country = "CH" })
	stranger := dhttest.Offer(t, noon, "stranger", 1, nil)
	forged := bytes.Clone(dhttest.Offer(t, noon, "n8", 9, nil).Bytes)
	forged[len(forged)-1] ^= 1
	expired := dhttest.Offer(t, noon, "gone", 1, func(o *offer.Offer) { o.Made, o.Until = o.Made-500, o.Made-1 })
	show := func(split bool, after lease.Principal, offers ...[]byte) func(dht.Request) (dht.Response, error) {
		return func(req dht.Request) (dht.Response, error) {
			return dht.Response{Status: slices.Repeat([]dht.Status{dht.Stored}, len(req.Buckets)), Split: split, Offers: offers, Size: 1, After: after}, nil
		}
	}
	var last lease.Principal
	for i := range last {
		last[i] = 0xff
	}
	for _, c := range []struct {
		name string
		lie  func(dht.Request) (dht.Response, error)
		want dht.Ignored // is counted; none where nobody can tell
	}{
		{"is full without end", func(req dht.Request) (dht.Response, error) {
			return dht.Response{Status: slices.Repeat([]dht.Status{dht.Full}, len(req.Buckets)), Split: true, Size: dht.MaxEntries}, nil
		}, dht.Unproved},
		{"omits", show(false, lease.Principal{}), ""},
		{"replays an old offer", show(false, lease.Principal{}, old.Bytes), ""},
		{"shows what does not belong there", show(false, lease.Principal{}, stranger.Bytes), dht.AlienOffer},
		{"shows what has lapsed", show(false, lease.Principal{}, expired.Bytes), dht.Lapsed},
		{"forges", show(false, lease.Principal{}, forged), dht.Unreadable},
		{"shows garbage", show(false, lease.Principal{}, []byte{1}, make([]byte, offer.MaxOffer)), dht.Unreadable},
		{"has a cursor that stands", show(false, lease.Principal{1}, stranger.Bytes), ""},
		{"has a cursor that ends nowhere", func(req dht.Request) (dht.Response, error) {
			next := req.After
			next[31]++
			return dht.Response{After: next}, nil
		}, dht.Excess},
		{"begins again and again", func(req dht.Request) (dht.Response, error) {
			return dht.Response{Offers: [][]byte{old.Bytes}, After: old.Node}, nil
		}, dht.Disordered},
		{"shows records beyond the size", show(false, lease.Principal{}, make([]byte, offer.MaxOffer+1)), dht.Silent},
		{"shows more than a page", show(false, lease.Principal{}, slices.Repeat([][]byte{{1}}, dht.PageEntries+1)...), dht.Silent},
		{"resets", func(dht.Request) (dht.Response, error) { return dht.Response{}, errors.New("reset") }, dht.Silent},
		{"jumps to the end", show(true, last), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := newMemory(nodes, dht.HolderConfig{})
			for i := range nodes {
				if i%5 == 0 { // one of five
					n.all[i].lie = c.lie
				}
			}
			var want []string
			for i := range nodes {
				if i%5 == 0 {
					continue
				}
				name := fmt.Sprint("n", i)
				n.forget()
				reg, err := n.all[i].Index.Register(t.Context(), dhttest.Offer(t, noon, name, 2, func(o *offer.Offer) {
					if o.Attributes.Country = "CH"; i%2 == 0 {
						o.Attributes.Country = "DE"
					} else {
						want = append(want, name+"@2")
					}
				}))
				if err != nil {
					t.Fatal(err)
				}
				// Four buckets at eight holders each; who went a bit deeper than needed
				// did so once or twice.
				if asked := n.asked[dht.OpRegister]; asked > 4*dht.Replicas*3 {
					t.Errorf("%s asked %d times, %d bits deep", name, asked, reg.Depth)
				}
			}
			slices.Sort(want)
			for _, seeker := range []int{1, 23, 58} {
				n.forget()
				expect(t, n, seeker, "country=CH", want)
				if asked := n.asked[dht.OpList]; asked > 3*dht.Replicas*dht.MaxPages {
					t.Errorf("member %d asked %d times", seeker, asked)
				}
			}
			counted := uint64(0)
			for _, m := range n.all {
				counted += m.Stats().Ignored[c.want]
			}
			if c.want != "" && counted == 0 {
				t.Errorf("nobody counted %s", c.want)
			}
		})
	}
}

func expect(t *testing.T, n *memory, seeker int, query string, want []string) {
	t.Helper()
	res, err := n.Find(seeker, query)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range res.Offers {
		got = append(got, fmt.Sprintf("%s@%d", f.Offer.Name, f.Offer.Sequence))
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("%q: found %v, want %v", query, got, want)
	}
}

// Even where every holder says that everything is split, a search ends.
func TestASearchEndsWhoeverLies(t *testing.T) {
	n := newMemory(30, dht.HolderConfig{})
	for _, m := range n.all[1:] {
		m.lie = func(req dht.Request) (dht.Response, error) {
			return dht.Response{Status: slices.Repeat([]dht.Status{dht.Full}, len(req.Buckets)), Split: true}, nil
		}
	}
	if _, err := n.all[0].Find(t.Context(), offer.FindRequest{}); err != nil {
		t.Error(err)
	}
	if asked := n.asked[dht.OpList]; asked > dht.MaxRead*dht.Replicas {
		t.Errorf("%d requests", asked)
	}
	if s := n.all[0].Stats(); s.Ignored[dht.Excess] == 0 {
		t.Errorf("counted %v", s.Ignored)
	}
	n.forget()
	reg, err := n.all[0].Index.Register(t.Context(), dhttest.Offer(t, noon, "a", 1, nil))
	if !errors.Is(err, ErrNoHolder) || reg.Depth != dht.MaxDepth {
		t.Errorf("%+v, %v", reg, err)
	}
	if asked := n.asked[dht.OpRegister]; asked > 3*dht.Replicas*(dht.MaxDepth+1) {
		t.Errorf("%d requests", asked)
	}
}

// Seekers who want a few begin at different places.
func TestWalksBeginWhereTheyAreToldAndGoRound(t *testing.T) {
	n := newMemory(100, dht.HolderConfig{})
	for i := range 100 {
		if err := n.Register(i, dhttest.Offer(t, noon, fmt.Sprint("n", i), 1, nil)); err != nil {
			t.Fatal(err)
		}
	}
	first := map[lease.Principal]bool{}
	for _, m := range n.all[:20] {
		from := lease.Principal(m.at)
		seen := map[lease.Principal]bool{}
		for f, err := range m.Walk(t.Context(), Search{From: from}) {
			if err != nil {
				t.Fatal(err)
			}
			if len(seen) == 0 {
				first[f.Offer.Node] = true
			}
			seen[f.Offer.Node] = true
		}
		if len(seen) != 100 {
			t.Errorf("from %s: %d found", from.Short(), len(seen))
		}
	}
	if len(first) < 5 {
		t.Errorf("twenty seekers begin with %d nodes", len(first))
	}
}
