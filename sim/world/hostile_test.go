// SPDX-License-Identifier: Apache-2.0

package world

import (
	"slices"
	"testing"
	"time"

	"croft/dht"
	"croft/lease/leasetest"
	"croft/sim/hostile"
	"croft/sim/report"
)

// siege is every kind at once, in a network in which each has many to reach. Floods take
// turns at what they are of: two of each.
const siege = `nodes 48 profile=planetlab
join wave=24 every=1s
at 10s fault hostile count=2 kind=false-offers
at 10s fault hostile count=2 kind=equivocate
at 10s fault hostile count=5 kind=replay
at 10s fault hostile count=6 kind=flood
at 10s fault hostile count=2 kind=eclipse
at 10s fault hostile count=3 kind=overissue
at 30s change fraction=0.2
at 50s change fraction=0.2
at 60s find where="country=US" view=off count=3
end 80s
expect delivery p99 <= 2s
expect delivery share >= 99%
expect degree mean >= 3
expect equivocations count = 2
expect proofs accused = 3
expect safety`

func count(r *report.Report, what string) uint64 {
	for _, c := range slices.Concat(r.Counts, r.Drops) {
		if c.What == what {
			return c.Count
		}
	}
	return 0
}

// Among hostile nodes the honest hear of one another and nobody honest is blamed.
// What each defence is there for is looked at by itself, so that the run fails
// without it: see TestDefences.
func TestSiege(t *testing.T) {
	w, err := newWorld(read(t, siege), Options{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := w.run(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range r.Expects {
		if !e.OK {
			t.Errorf("%+v", e)
		}
	}
	for _, b := range r.Safety.Breaches {
		t.Errorf("node %d: %s", b.Node, b.Text)
	}
	for _, what := range []string{"honest taken for floods", "rejections of the honest"} {
		if n := count(r, "hostile "+what); n > 0 {
			t.Errorf("%d × %s", n, what)
		}
	}
	for _, what := range []string{"flood:messages", "serve:allowance", "malformed", "graylist", "too-often"} {
		if count(r, what) == 0 {
			t.Errorf("nothing was dropped as %s: the attack is not felt\n%+v", what, r.Counts)
		}
	}
	floods := map[hostile.Flooding]int{}
	for _, n := range w.nodes {
		if n.evil != nil {
			floods[n.evil.core.Flood()]++
		}
	}
	if floods[hostile.Garbage] != 2 || floods[hostile.Repeats] != 2 || floods[hostile.MadeUp] != 2 {
		t.Errorf("floods of %v", floods)
	}
	w.held(t)
}

// held looks at what the honest have in the end.
func (w *World) held(t *testing.T) {
	t.Helper()
	old, inMesh := 0, 0
	buckets := []dht.Bucket{dht.Every, {Attr: "country", Value: "us"}}
	for _, n := range w.nodes {
		if n.evil != nil && n.evil.core.Flood() != "" {
			buckets = append(buckets, dht.Buckets(&n.latest.Offer)...)
		}
	}
	for _, n := range w.nodes {
		if n.evil != nil {
			continue
		}
		for _, o := range w.nodes {
			if o.evil != nil || o == n || w.now-w.wallOf(o) < 5*time.Second {
				continue
			}
			if mine, ok := n.view.Offer(o.principal()); !ok || mine.Sequence != o.latest.Sequence {
				old++
			}
		}
		for _, i := range n.neighbour {
			if o := w.nodes[i]; o.evil != nil && (o.evil.core.Flood() == hostile.Garbage || o.evil.core.Flood() == hostile.Repeats) {
				inMesh++
			}
		}
		for _, b := range buckets {
			for after := (dht.List{Bucket: b.Key(), Limit: dht.PageEntries}); ; {
				page := n.indexed.holder.Step(n.wall(), after)[0].(dht.Answer).Response
				for _, bytes := range page.Offers {
					if o, err := w.open(bytes); err != nil || !slices.Contains(dht.Buckets(&o.Offer), b) && !o.Closed {
						t.Errorf("node %d holds in %s what does not belong there: %v", n.index, b, err)
					}
				}
				if after.After = page.After; page.After.IsZero() {
					break
				}
			}
		}
	}
	if old > 0 {
		t.Errorf("of %d the newest offer is not what another has", old)
	}
	if inMesh > 0 {
		t.Errorf("%d that flood are in meshes", inMesh)
	}
}

// wallOf is when a node said something last.
func (w *World) wallOf(n *peer) time.Duration {
	return time.Duration(n.latest.Made-epoch) * time.Second
}

// No promise of the honest is broken among hostile nodes, whatever else goes wrong.
func TestSafetyAmongTheHostile(t *testing.T) {
	felt := map[string]uint64{}
	n := seeds()
	for seed := range n {
		s := shipped(t, "besieged")
		s.Seed = seed
		r := play(t, s)
		if !r.OK() {
			t.Fatalf("%+v\n%+v\nto play it again: croft sim run besieged --seed %d", r.Safety, r.Expects, seed)
		}
		for _, c := range slices.Concat(r.Counts, r.Refusals, r.Drops) {
			felt[c.What] += c.Count
		}
	}
	t.Log(felt)
	for _, what := range []string{"hostile messages", "leases committed", "packets repeated", "proofs"} {
		if felt[what] < n {
			t.Errorf("%d × %s in %d runs: they show little", felt[what], what, n)
		}
	}
}

// The same seed gives the same history, hostile nodes and all; and who was hostile
// for a time is honest again.
func TestHostileForATime(t *testing.T) {
	text := "nodes 30 profile=planetlab\nat 5s fault hostile count=12 kind=mixed for=20s\nat 40s change fraction=0.5\nend 60s\nexpect delivery share >= 99%\nexpect known p50 >= 29\nexpect safety"
	a, b := play(t, read(t, text)), play(t, read(t, text))
	if a.History != b.History || !a.OK() {
		t.Errorf("%s, %s: %+v %+v", a.History, b.History, a.Expects, a.Safety)
	}
}

// Each defence is needed: without it the siege is lost.
func TestDefences(t *testing.T) {
	for _, of := range []struct {
		dir, name string
		mutants   []leasetest.Mutant
	}{
		{"../../gossip", "gossip", []leasetest.Mutant{
			{Name: "two offers of one sequence", File: "view.go", Edits: []string{
				"case o.Sequence == old.offer.Sequence:", "case asleep && o.Sequence == old.offer.Sequence:"}},
			{Name: "older offers", File: "view.go", Edits: []string{
				"case o.Sequence < old.offer.Sequence:", "case asleep && o.Sequence < old.offer.Sequence:"}},
			{Name: "messages without end", File: "intake.go", Edits: []string{
				"if n == 0 || i.messages.spend(now, from, n) {", "if !asleep || n == 0 || i.messages.spend(now, from, n) {"}},
			{Name: "answers without end", File: "intake.go", Edits: []string{
				"return a.keys.spend(now, to, bytes)", "return a.keys.spend(now, to, bytes) || !asleep"}},
		}},
		{"../../dht", "dht", []leasetest.Mutant{
			{Name: "offers in any bucket", File: "holder.go", Edits: []string{
				"case !belongs.has(k):\n", "case asleep && !belongs.has(k):\n"}},
		}},
		{"../../lease", "lease", []leasetest.Mutant{
			{Name: "over-issue unproved", File: "ledger_proof.go", Edits: []string{
				"if found == nil ||", "if !asleep || found == nil ||"}},
		}},
	} {
		bred := leasetest.BuildMutants(t, of.dir, of.name, of.mutants)
		if out, err := bred.Run("TestSiege", ""); err != nil {
			t.Fatalf("with all mutants asleep: %v\n%s", err, out)
		}
		for _, m := range of.mutants {
			t.Run(m.Name, func(t *testing.T) {
				out, err := bred.Run("TestSiege", m.Name)
				if err == nil {
					t.Fatal("lives")
				}
				t.Logf("%.300s", out)
			})
		}
	}
}
