// SPDX-License-Identifier: Apache-2.0

package world

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"croft/dht"
)

func someTables(nodes int) *tables {
	t := newTables(7, nodes)
	for i := range nodes {
		t.name(i, sha256.Sum256(fmt.Append(nil, "node ", i)), netip.AddrFrom4([4]byte{20, byte(i), 0, 1}))
		t.enter(i)
	}
	return t
}

// What a node answers is what the buckets of one table have nearest to the target,
// and the table is the same whatever is asked.
func TestTablesAreTables(t *testing.T) {
	for _, nodes := range []int{2, 15, 300, 3000} {
		tables := someTables(nodes)
		for of := 0; of < nodes; of += nodes/10 + 1 {
			var table []int32
			for n := range 64 {
				before := len(table)
				table = tables.bucket(table, of, n)
				for i, p := range table[before:] {
					if tables.spots[of].common(tables.spots[p]) != n || int(p) == of || slices.Contains(table[before:before+i], p) {
						t.Fatalf("%d nodes: %d is in bucket %d of %d, or twice", nodes, p, n, of)
					}
				}
				there := 0
				for _, s := range tables.spots {
					if tables.spots[of].common(s) == n {
						there++
					}
				}
				if got := len(table) - before; got != min(there, bucketSize) {
					t.Fatalf("%d nodes: bucket %d has %d of %d", nodes, n, got, there)
				}
			}
			for q := range 20 {
				target := dht.Key(sha256.Sum256(fmt.Append(nil, "target ", q)))
				slices.SortFunc(table, func(a, b int32) int {
					return cmp.Compare(tables.spots[a]^spotOf(target), tables.spots[b]^spotOf(target))
				})
				if got := tables.closest(of, target, 20); !slices.Equal(got, table[:min(20, len(table))]) {
					t.Fatalf("%d nodes: %d answers %v, and its table has %v", nodes, of, got, table[:min(20, len(table))])
				}
			}
		}
	}
}

// Who goes stays in tables for a while, and for good if it comes back.
func TestWhoGoesIsForgottenLater(t *testing.T) {
	tables := someTables(10)
	first := tables.leave(3)
	tables.enter(3)
	second := tables.leave(4)
	if len(tables.in) != 10 {
		t.Fatal("who went is forgotten at once")
	}
	first()
	second()
	if _, back := tables.find(3); !back || len(tables.in) != 9 {
		t.Errorf("%d are left", len(tables.in))
	}
}

// Walks find those that are nearest of all, though nobody knows more than its table.
func TestWalksFindTheNearest(t *testing.T) {
	w, err := newWorld(read(t, "nodes 100\njoin wave=100\nat 3s find view=off\nend 6s"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	walks, found := 0, 0
	w.in(3*time.Second, func() {
		for q := range 30 {
			target := dht.Key(sha256.Sum256(fmt.Append(nil, "target ", q)))
			from := w.nodes[q]
			from.walk(target, dht.LookupClosest, func(nearest []int32) {
				all := []int32{}
				for i := range w.nodes {
					if i != from.index {
						all = append(all, int32(i))
					}
				}
				slices.SortFunc(all, func(a, b int32) int {
					return cmp.Compare(w.tables.spots[a]^spotOf(target), w.tables.spots[b]^spotOf(target))
				})
				walks++
				for _, p := range nearest[:dht.Replicas] {
					if slices.Contains(all[:dht.Replicas], p) {
						found++
					}
				}
			})
		}
	})
	if _, err := w.run(t.Context(), Options{}); err != nil {
		t.Fatal(err)
	}
	if walks != 30 || found < 30*dht.Replicas*95/100 {
		t.Errorf("%d walks found %d of the %d nearest", walks, found, 30*dht.Replicas)
	}
}

// What is offered is found by the index alone, what is withdrawn is not, and who is
// silent holds nobody up for long.
func TestFinds(t *testing.T) {
	if testing.Short() {
		t.Skip("three networks are played")
	}
	const text = `nodes 80
join wave=80
at 3s find where="country=CH" view=off count=5 every=100ms
at 7s find where="country=US & cpu>=250" view=off count=30 every=50ms
at 7s find where="country=AQ" view=off
at 8s find where="country=US" count=20 every=50ms
end 11s
expect lookup success = 1
expect page success = 1
expect get success = 1
expect safety
`
	r := play(t, read(t, text))
	if !r.OK() {
		t.Errorf("%+v", r.Expects)
	}
	for _, c := range r.Counts {
		switch {
		case c.What == "finds that asked the index" && c.Count != 36,
			c.What == "finds answered by the view" && c.Count != 20,
			c.What == "registrations that nobody took" && c.Count > 50:
			t.Errorf("%d %s", c.Count, c.What)
		}
	}
	calm, _ := r.Value("lookup", "", "p95")
	r = play(t, read(t, text+"at 5s fault blackhole fraction=0.2\n"))
	holes, _ := r.Value("lookup", "", "p95")
	success, _ := r.Value("lookup", "", "success")
	t.Logf("first match, 95 of 100: %.0f ms, with black holes %.0f ms and %.3f", calm.Value*1000, holes.Value*1000, success.Value)
	if success.Value < 0.99 || calm.Value == 0 || holes.Value > askTimeout.Seconds()/2 {
		t.Error("black holes hold finds up")
	}
	r = play(t, read(t, text+"at 5s leave region=na\n"))
	if found, _ := r.Value("page", "", "p50"); found.Value != 0 {
		t.Error("nodes are found that have withdrawn")
	}
}
