// SPDX-License-Identifier: Apache-2.0

package offer

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"croft/lease"
)

// farm makes n found offers; shape changes each.
func farm(n int, shape func(i int, o *Offer)) []Found {
	var all []Found
	for i := range n {
		o := full(keyOf(fmt.Sprint("farm", i)))
		o.Name = fmt.Sprintf("s%d/n%d", i%3, i)
		o.Site = lease.Principal{}
		o.Certificate = nil
		shape(i, o)
		all = append(all, Found{Offer: *o, Source: View})
	}
	return all
}

func cpu(o *Offer, v uint64) { o.Free[0].RSet[lease.CPU] = v }

func ask(t *testing.T, query string, from []Found, opt Options) Result {
	t.Helper()
	q, err := ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	return Answer(q, from, opt)
}

func namesOf(found []Found) (s []string) {
	for _, f := range found {
		s = append(s, f.Offer.Name)
	}
	return s
}

func TestExplainCountsAndNamesTheNearestMiss(t *testing.T) {
	from := farm(10, func(i int, o *Offer) {
		cpu(o, 1000)
		if i >= 3 {
			cpu(o, 1500)
		}
		if i == 9 {
			o.Attributes.Country = "DE"
		}
	})
	res := ask(t, "cpu>=2000 & country!=DE", from, Options{})
	want := []Removed{{"cpu>=2000", 10, 10}, {"country!=DE", 0, 1}}
	if res.Known != 10 || res.Matched != 0 || !slices.Equal(res.Removed, want) {
		t.Errorf("%+v", res)
	}
	if res.Nearest != "6 more nodes if cpu>=1500, 9 if cpu>=1000" {
		t.Errorf("nearest %q", res.Nearest)
	}
	for query, want := range map[string]string{
		"cpu>=1000":                           "",
		"country=CH":                          "1 more node without country=CH (1 DE)",
		"country=FR":                          "10 more nodes without country=FR (9 CH, 1 DE)",
		"country!=CH & cpu>=1":                "9 more nodes without country!=CH",
		"cpu>=2000 & country=FR":              "7 more nodes if cpu>=1500 and without country=FR",
		"rtt<10ms":                            "10 more nodes without rtt<10ms",
		"cpu<=900":                            "3 more nodes if cpu<=1000, 10 if cpu<=1500",
		"cpu<900":                             "3 more nodes if cpu<=1000, 10 if cpu<=1500",
		"cpu=1400":                            "7 more nodes if cpu=1500",
		"as=7":                                "10 more nodes without as=7 (10 559)",
		"cpu>=1000 & country=DE & city=Paris": "1 more node without city=Paris (1 Zürich)",
		"city=Zurich":                         "10 more nodes if city=Zürich",
		"label.rack=b44 & cpu>=1":             "10 more nodes without label.rack=b44 (10 b4)",
		"arch=amd46":                          "10 more nodes if arch=amd64",
		"name=s0/n99":                         "1 more node if name=s0/n9",
		"name=nobody":                         "10 more nodes without name=nobody",
		"cpu>=1600 & memory>=8GiB":            "7 more nodes if cpu>=1500 and memory>=7GiB",
		"cpu>=1600 & memory>=8GiB & site=s7":  "7 more nodes if cpu>=1500 and memory>=7GiB and without site=s7",
		"kernel>=6.2":                         "10 more nodes if kernel>=6.1.0",
		"uptime>=30d & cpu>=9000":             "7 more nodes if uptime>=25h0m0s and cpu>=1500",
	} {
		if res := ask(t, query, from, Options{}); res.Nearest != want {
			t.Errorf("%s: %q, want %q", query, res.Nearest, want)
		}
	}
}

// Of two constraints that both fail, the nearest node says how far each must give.
func TestNearestOfTwoNumbersIsOneNode(t *testing.T) {
	from := farm(3, func(i int, o *Offer) {
		o.Free[0].RSet[lease.CPU] = []uint64{900, 500, 100}[i]
		o.Free[0].RSet[lease.Memory] = []uint64{1 << 28, 3 << 28, 7 << 28}[i] // 256, 768, 1792 MiB
	})
	for range 20 { // whatever the order of a map
		if res := ask(t, "cpu>=1000 & memory>=2GiB", from, Options{}); res.Nearest != "1 more node if cpu>=900 and memory>=256MiB" {
			t.Fatalf("nearest %q", res.Nearest)
		}
		if res := ask(t, "cpu>=1000 & memory>=1GiB", from, Options{}); res.Nearest != "1 more node if cpu>=100" {
			t.Fatalf("nearest %q", res.Nearest)
		}
	}
}

// A node with nothing free is no miss by an amount.
func TestNothingAtAllIsNotTheNearestAmount(t *testing.T) {
	from := farm(2, func(_ int, o *Offer) { cpu(o, 0) })
	if res := ask(t, "cpu>=100", from, Options{}); res.Nearest != "2 more nodes without cpu>=100" {
		t.Errorf("nearest %q", res.Nearest)
	}
}

func TestOrderLimitSpread(t *testing.T) {
	from := farm(6, func(i int, o *Offer) { cpu(o, uint64(100*i)) })
	for query, want := range map[string][]string{
		"order by -cpu limit 3":               {"s2/n5", "s1/n4", "s0/n3"},
		"cpu>0 order by cpu limit 2":          {"s1/n1", "s2/n2"},
		"order by name spread by site":        {"s0/n0", "s1/n1", "s2/n2", "s0/n3", "s1/n4", "s2/n5"},
		"site!=s1 order by -cpu spread by as": {"s2/n5", "s0/n3", "s2/n2", "s0/n0"},
		"order by as, -cpu limit 2":           {"s2/n5", "s1/n4"},
		"order by site, -name":                {"s0/n3", "s0/n0", "s1/n4", "s1/n1", "s2/n5", "s2/n2"},
		"order by -site, cpu limit 3":         {"s2/n2", "s2/n5", "s1/n1"},
		"order by rtt, -cpu limit 1":          {"s2/n5"}, // nobody's is known: the next decides
	} {
		if got := namesOf(ask(t, query, from, Options{}).Offers); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", query, got, want)
		}
	}
	rtt := func(p lease.Principal) Measured {
		if p == from[2].Offer.Node {
			return Measured{RTT: time.Millisecond}
		}
		return Measured{}
	}
	if got := namesOf(ask(t, "order by -rtt limit 1", from, Options{Measured: rtt}).Offers); got[0] != "s2/n2" {
		t.Errorf("what is not measured must come last, got %v", got)
	}
	a := namesOf(ask(t, "", from, Options{Salt: []byte("a")}).Offers)
	b := namesOf(ask(t, "", from, Options{Salt: []byte("b")}).Offers)
	if slices.Equal(a, b) {
		t.Errorf("two seekers prefer the same order: %v", a)
	}
}

func TestSpreadReachesEverySiteFirst(t *testing.T) {
	from := farm(9, func(i int, o *Offer) { cpu(o, map[int]uint64{0: 900, 1: 500, 2: 100}[i%3]) })
	got := namesOf(ask(t, "order by -cpu limit 3 spread by site", from, Options{}).Offers)
	sites := map[string]bool{}
	for _, n := range got {
		sites[n[:2]] = true
	}
	if len(sites) != 3 {
		t.Errorf("three nodes of %d sites: %v", len(sites), got)
	}
}

// Spread by several groups of unequal sizes: no group has two more than another
// that still had some, and nobody is left out.
func TestSpreadIsFairAndComplete(t *testing.T) {
	from := farm(30, func(i int, o *Offer) {
		o.Attributes.Country = []string{"CH", "CH", "CH", "DE", "DE", "FR"}[i%6]
		o.Attributes.AS = uint32(1 + i%4)
		cpu(o, uint64(i*7%30))
	})
	for by, of := range map[string]func(*Offer) string{
		"site": (*Offer).SiteName, "country": func(o *Offer) string { return o.Attributes.Country },
		"as": func(o *Offer) string { return fmt.Sprint(o.Attributes.AS) },
	} {
		total := map[string]int{}
		for _, f := range from {
			total[of(&f.Offer)]++
		}
		for limit := 1; limit <= len(from); limit++ {
			got := ask(t, fmt.Sprintf("order by -cpu limit %d spread by %s", limit, by), from, Options{}).Offers
			if len(got) != limit {
				t.Fatalf("by %s, limit %d: %d", by, limit, len(got))
			}
			taken := map[string]int{}
			least := map[string]uint64{} // the best of a group comes before its others
			for _, f := range got {
				g, v := of(&f.Offer), f.Offer.FreeIn(lease.PoolCommons)[lease.CPU]
				if last, ok := least[g]; ok && v > last {
					t.Errorf("by %s: %d after %d in %s", by, v, last, g)
				}
				taken[g]++
				least[g] = v
			}
			for a, n := range taken {
				for b := range total {
					if n > taken[b]+1 && taken[b] < total[b] {
						t.Errorf("by %s, limit %d: %d of %s and %d of %s", by, limit, n, a, taken[b], b)
					}
				}
			}
		}
	}
}

func TestMergeKeepsTheNewest(t *testing.T) {
	version := func(name string, seq uint64, source Source, change func(*Offer)) Found {
		o := full(keyOf(name))
		o.Sequence = seq
		if change != nil {
			change(o)
		}
		return Found{Offer: *o, Source: source}
	}
	view := []Found{version("a", 1, View, nil), version("b", 5, View, nil), version("c", 1, View, nil),
		version("d", 1, View, func(o *Offer) { o.Made, o.Until = 1, 2 })}
	index := []Found{version("a", 2, DHT, nil), version("b", 5, DHT, nil),
		version("c", 2, DHT, func(o *Offer) { o.Closed = true }), version("e", 1, DHT, nil)}
	got := map[lease.Principal]Source{}
	for _, f := range Merge(noon, view, index) {
		got[f.Offer.Node] = f.Source
	}
	want := map[string]Source{"a": DHT, "b": View, "e": DHT}
	if len(got) != len(want) {
		t.Errorf("got %d nodes, want %d", len(got), len(want))
	}
	for name, source := range want {
		if got[keyOf(name).Principal()] != source {
			t.Errorf("%s from %q, want %q", name, got[keyOf(name).Principal()], source)
		}
	}
}
