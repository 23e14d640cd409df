// SPDX-License-Identifier: Apache-2.0

package index

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"croft/dht"
	"croft/dht/dhttest"
	"croft/lease/offer"
)

// crowd is a net under churn beside what must be found in it: the newest offer of
// each node that registered and neither withdrew nor ran out.
type crowd struct {
	*memory
	holder dht.HolderConfig
	t      *testing.T
	offers map[int]offer.Opened // by the number of its node
	next   map[int]uint64
	until  map[int]int64
	lost   map[int]int // holders that came or went since a node registered
}

// Whatever comes and goes, who registered is found by everybody: through splits,
// merges, withdrawals, and the loss of two holders between registrations.
func TestEverybodyIsFoundThroughSplitsAndMerges(t *testing.T) {
	deepest := 0
	rapid.Check(t, func(r *rapid.T) {
		c := &crowd{t: t, holder: dht.HolderConfig{PerBucket: rapid.IntRange(2, 6).Draw(r, "per bucket")},
			offers: map[int]offer.Opened{}, next: map[int]uint64{}, until: map[int]int64{}, lost: map[int]int{}}
		c.memory = newMemory(rapid.IntRange(10, 24).Draw(r, "nodes"), c.holder)
		r.Repeat(map[string]func(*rapid.T){
			"register": func(r *rapid.T) { deepest = max(deepest, c.register(r, c.living(r))) },
			"many": func(r *rapid.T) {
				for range rapid.IntRange(3, 9).Draw(r, "many") {
					deepest = max(deepest, c.register(r, c.living(r)))
				}
			},
			"withdraw": func(r *rapid.T) {
				node := c.living(r)
				if c.next[node] == 0 {
					r.Skip("offers nothing")
				}
				c.next[node]++
				o := dhttest.Offer(t, c.now, fmt.Sprint("n", node), c.next[node], func(o *offer.Offer) { o.Closed = true })
				if err := c.Withdraw(node, o); err != nil {
					r.Fatal(err)
				}
				delete(c.offers, node)
			},
			"time": func(r *rapid.T) {
				c.Advance(time.Duration(rapid.IntRange(1, 200).Draw(r, "seconds")) * time.Second)
			},
			"join": func(r *rapid.T) { // an empty holder comes between others
				if len(c.all) > 60 {
					r.Skip("enough of them")
				}
				c.again(r)
				c.join(c.holder)
			},
			"kill": func(r *rapid.T) {
				node := c.living(r)
				c.again(r)
				c.Kill(node)
			},
			"": func(r *rapid.T) { c.check(r) },
		})
	})
	if t.Logf("the deepest part was %d bits deep", deepest); deepest < 3 {
		t.Error("hardly anything split")
	}
}

func (c *crowd) living(r *rapid.T) int {
	var nodes []int
	for i, m := range c.all {
		if !m.dead {
			nodes = append(nodes, i)
		}
	}
	if len(nodes) < 9 {
		r.Skip("hardly anybody lives")
	}
	return rapid.SampledFrom(nodes).Draw(r, "node")
}

func (c *crowd) register(r *rapid.T, node int) int {
	c.next[node]++
	o := dhttest.Offer(c.t, c.now, fmt.Sprint("n", node), c.next[node], func(o *offer.Offer) {
		o.Attributes.Country = []string{"CH", "DE"}[node%2]
		// Never shorter than what it replaces: the older one would outlive the newer
		// at a holder that has only heard of the older.
		o.Until = max(o.Made+int64(rapid.IntRange(60, offer.MaxValid).Draw(r, "valid")), c.until[node])
		c.until[node] = o.Until
	})
	return c.put(r, node, o)
}

func (c *crowd) put(r *rapid.T, node int, o offer.Opened) int {
	reg, err := c.all[node].Index.Register(context.Background(), o)
	if err != nil {
		r.Fatalf("registering: %+v, %v", reg, err)
	}
	c.offers[node], c.lost[node] = o, 0
	return reg.Depth
}

// again is what living nodes do by themselves within four minutes: here, when two
// holders of theirs may have gone and a third is about to. The dead have what they
// said last.
func (c *crowd) again(r *rapid.T) {
	for i := range c.all {
		if o, ok := c.offers[i]; ok && c.lost[i] >= 2 && !c.all[i].dead && o.Fresh(c.now) == nil {
			c.put(r, i, o)
		}
		c.lost[i]++
	}
}

func (c *crowd) check(r *rapid.T) {
	seeker := slices.IndexFunc(c.all, func(m *member) bool { return !m.dead })
	for query, country := range map[string]string{"": "", "cpu>=1000 & country=DE": "DE"} {
		var want, got []string
		for i, o := range c.offers {
			if c.lost[i] <= 2 && o.Fresh(c.now) == nil && (country == "" || o.Attributes.Country == country) {
				want = append(want, fmt.Sprintf("%s@%d", o.Name, o.Sequence))
			}
		}
		res, err := c.Find(seeker, query)
		if err != nil {
			r.Fatal(err)
		}
		for _, f := range res.Offers {
			i, err := strconv.Atoi(f.Offer.Name[1:])
			if err != nil || f.Offer.Sequence != c.offers[i].Sequence {
				r.Fatalf("%q finds %s@%d, which is not the newest", query, f.Offer.Name, f.Offer.Sequence)
			}
			if c.lost[i] > 2 {
				continue // luck
			}
			got = append(got, fmt.Sprintf("%s@%d", f.Offer.Name, f.Offer.Sequence))
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(want, got) {
			r.Fatalf("%q finds %s\n of %s", query, strings.Join(got, " "), strings.Join(want, " "))
		}
	}
}
