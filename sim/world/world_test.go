// SPDX-License-Identifier: Apache-2.0

package world

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"croft/sim/report"
	"croft/sim/scenario"
	"croft/sim/scenarios"
)

func read(t *testing.T, text string) *scenario.Scenario {
	t.Helper()
	s, err := scenario.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func shipped(t *testing.T, name string) *scenario.Scenario {
	t.Helper()
	text, err := scenarios.Text(name)
	if err != nil {
		t.Fatal(err)
	}
	return read(t, text)
}

func play(t *testing.T, s *scenario.Scenario) *report.Report {
	t.Helper()
	r, err := Run(t.Context(), s, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// The same seed gives the same history, another another; what is written down in
// between changes nothing.
func TestReplay(t *testing.T) {
	s := shipped(t, "safety")
	first := play(t, s)
	var history bytes.Buffer
	again, err := Run(t.Context(), read(t, s.String()), Options{Trace: &history, Progress: func(Progress) {}})
	if err != nil {
		t.Fatal(err)
	}
	if first.History != again.History || first.Events != again.Events {
		t.Errorf("history %s of %d events, then %s of %d", first.History, first.Events, again.History, again.Events)
	}
	if n := bytes.Count(history.Bytes(), []byte("\n")); uint64(n) != again.Lines {
		t.Errorf("%d lines of history, %d were written", again.Lines, n)
	}
	s.Seed++
	if other := play(t, s); other.History == first.History {
		t.Error("another seed has the same history")
	}
	s.History = first.History
	if other := play(t, s); other.OK() {
		t.Error("another history passes for a replay")
	}
}

// seeds is how many a safety test plays: CROFT_SEEDS, else 20.
func seeds() uint64 {
	if n, err := strconv.ParseUint(os.Getenv("CROFT_SEEDS"), 10, 64); err == nil {
		return n
	}
	if testing.Short() {
		return 4
	}
	return 20
}

// No promise is broken under any fault, and the faults are felt.
func TestSafety(t *testing.T) {
	felt := map[string]uint64{}
	n := seeds()
	for seed := range n {
		s := shipped(t, "safety")
		s.Seed = seed
		r := play(t, s)
		if !r.OK() {
			t.Fatalf("%+v\n%+v\nto play it again: croft sim run safety --seed %d", r.Safety, r.Expects, seed)
		}
		for _, c := range slices.Concat(r.Counts, r.Refusals) {
			felt[c.What] += c.Count
		}
	}
	t.Log(felt)
	for _, what := range []string{"leases committed", "leases ended", "messages lost", "packets repeated", "messages doubled", "messages held back", "local:clock"} {
		if felt[what] < n {
			t.Errorf("%d × %s in %d runs: they show little", felt[what], what, n)
		}
	}
}

// A disk that forgets what it said was there breaks promises, and the checks see it.
func TestLyingDiskIsSeen(t *testing.T) {
	for seed := range uint64(20) {
		s := shipped(t, "safety")
		s.Seed = seed
		w, err := newWorld(s, Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range w.nodes {
			n.disk.lossy = true
		}
		r, err := w.run(t.Context(), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Safety.Breaches) > 0 {
			if r.OK() {
				t.Error("it passes all the same")
			}
			t.Logf("seed %d: %s", seed, r.Safety.Breaches[0].Text)
			return
		}
	}
	t.Error("nobody noticed in 20 runs")
}

// So is a daemon that answers before its facts are durable.
func TestHastyDaemonIsSeen(t *testing.T) {
	w, err := newWorld(read(t, "nodes 12 profile=flat\nat 10s slice ron nodes=5"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range w.nodes {
		n.hasty = true
	}
	r, err := w.run(t.Context(), Options{})
	if err != nil || !slices.ContainsFunc(r.Safety.Breaches, func(b report.Breach) bool { return strings.Contains(b.Text, "leaves before it is durable") }) {
		t.Fatalf("%v, %v", r.Safety, err)
	}
}

// A sliver that its warden forgets to end is seen too.
func TestForgottenSliverIsSeen(t *testing.T) {
	s := read(t, "nodes 12 profile=flat\nat 10s slice ron nodes=5 term=30s\nat 15s fault kill fraction=0.9\nend 2m")
	w, err := newWorld(s, Options{})
	if err != nil {
		t.Fatal(err)
	}
	w.in(20*time.Second, func() {
		for _, n := range w.nodes {
			for _, sliver := range n.slivers {
				sliver.turn++ // its clock never rings
			}
		}
	})
	r, err := w.run(t.Context(), Options{})
	if err != nil || len(r.Safety.Breaches) == 0 || !strings.Contains(r.Safety.Breaches[0].Text, "lives on") {
		t.Errorf("%v, %v", r.Safety, err)
	}
}

func TestSlices(t *testing.T) {
	r := play(t, read(t, `nodes 40
at 5s  slice ron nodes=10 where="cpu>=100" term=2m
at 6s  slice gun nodes=5 where="country=US" term=20s
at 7s  slice none nodes=5 where="country=AQ"
at 20s renew ron for=10m
at 60s stop gun
end 5m
expect slice ron running >= 10
expect slice gun running = 0
expect slice ron time <= 5s
expect safety`))
	if !r.OK() {
		t.Errorf("%+v", r.Expects)
	}
	if got := r.Slices[2].Outcome; got != "nothing-matched" {
		t.Errorf("where nothing matches the outcome is %q", got)
	}
}

// Expectations fail when they should, and when there was nothing to measure.
func TestExpectations(t *testing.T) {
	r := play(t, read(t, "nodes 5\nexpect delivery p50 <= 1us\nexpect degree mean >= 1\nexpect refusals share <= 1"))
	if r.OK() || r.Expects[0].OK || !r.Expects[1].OK || r.Expects[2].OK {
		t.Errorf("%+v", r.Expects)
	}
}

// What a run takes of the machine is measured, and has no part in its history.
func TestCosts(t *testing.T) {
	const text = "nodes 5\n"
	r := play(t, read(t, text+"expect cpu share > 0\nexpect wall time <= 1h\nexpect memory max >= 1\n"))
	if again := play(t, read(t, text)); !r.OK() || r.History != again.History || r.Peak == 0 {
		t.Errorf("%+v, %s and %s", r.Expects, r.History, again.History)
	}
}

func TestCannot(t *testing.T) {
	among := read(t, "nodes 3 view=2\nat 1s fault hostile kind=flood count=1")
	if _, err := Run(t.Context(), among, Options{}); !errors.Is(err, ErrCannot) {
		t.Errorf("hostile nodes among areas: %v", err)
	}
	for _, c := range []struct{ line, word string }{
		{"expect law sigma <= 3", "law"},
		{strings.Repeat("at 1s fault partition count=1\n", 33), "partition"},
	} {
		_, err := Run(t.Context(), read(t, "nodes 3\n"+c.line), Options{})
		if !errors.Is(err, ErrCannot) || !strings.Contains(err.Error(), c.word) {
			t.Errorf("%s: %v", c.line, err)
		}
	}
	if _, err := Run(t.Context(), read(t, "nodes 300 view=100\nat 1s fault hostile kind=flood count=1"), Options{}); !errors.Is(err, ErrCannot) {
		t.Errorf("hostile nodes where there are areas: %v", err)
	}
	if _, err := Run(t.Context(), read(t, "nodes 100000\njoin wave=10000"), Options{}); !errors.Is(err, ErrCannot) {
		t.Errorf("views of everybody at everybody: %v", err)
	}
}

// However many partitions there were before, a node that is cut off stays so until
// its own heals.
func TestPartitionsKeepApart(t *testing.T) {
	var text strings.Builder
	text.WriteString("nodes 12\nat 10s fault partition count=1\n")
	for i := range 40 {
		fmt.Fprintf(&text, "at %ds fault partition count=1 for=1s\n", 20+2*i)
	}
	text.WriteString("end 3m")
	w, err := newWorld(read(t, text.String()), Options{})
	if err != nil {
		t.Fatal(err)
	}
	looked := false
	for at := 15 * time.Second; at < 2*time.Minute; at += 100 * time.Millisecond {
		w.in(at, func() {
			looked = true
			cut := 0
			for i := range w.nodes {
				if w.wires.side[i]&1 != 0 {
					cut++
				}
			}
			if cut != 1 {
				t.Fatalf("at %s %d nodes are cut off by the partition that lasts", at, cut)
			}
		})
	}
	if _, err := w.run(t.Context(), Options{}); err != nil || !looked {
		t.Fatal(err, looked)
	}
}

// Gossip comes twice where the fault says so; a pull, which is a stream, does not,
// or each of its pages would come twice as often as the one before.
func TestDuplicatesAreOfMessages(t *testing.T) {
	var history bytes.Buffer
	r, err := Run(t.Context(), read(t, "nodes 12\nat 0s fault duplicate rate=1\nend 4s"), Options{Trace: &history})
	if err != nil {
		t.Fatal(err)
	}
	pulls, most := map[string]int{}, 0
	for line := range strings.Lines(history.String()) {
		if at, rest, _ := strings.Cut(line, " "); strings.Contains(rest, " pulled ") {
			if _, err := strconv.Atoi(at); err != nil {
				t.Fatal(err)
			}
			who, _, _ := strings.Cut(rest, " ")
			pulls[who]++
			most = max(most, pulls[who])
		}
	}
	doubled := slices.IndexFunc(r.Counts, func(c report.Count) bool { return c.What == "messages doubled" })
	if most == 0 || most > firstPulls+len(soon) || r.Counts[doubled].Count == 0 {
		t.Errorf("%d pulls of one node, %d messages came twice", most, r.Counts[doubled].Count)
	}
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r, err := Run(ctx, shipped(t, "safety"), Options{Progress: func(p Progress) {
		if p.Now > 0 {
			cancel()
		}
	}})
	if err != nil || !r.Partial || r.OK() || r.Virtual == 0 {
		t.Errorf("%+v %v", r, err)
	}
}

// Every shipped scenario parses, says what it is about, and this world can play it,
// but for trials, which have none, and for nodes that offer nothing and roles, which are
// the stack's.
func TestShipped(t *testing.T) {
	for _, name := range scenarios.Names() {
		text, err := scenarios.Text(name)
		if err != nil {
			t.Fatal(err)
		}
		if s := read(t, text); s.Market() || s.Nodes.Publishers > 0 || len(s.Asked()) > 0 {
			continue
		} else if err := cannot(s); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if scenarios.About(text) == "" {
			t.Errorf("%s says nothing of itself", name)
		}
	}
	if _, err := scenarios.Text("nosuch"); !errors.Is(err, scenarios.ErrName) {
		t.Error(err)
	}
}

func TestQueue(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var q queue
	for i := range 5000 {
		q.push(event{at: time.Duration(rng.IntN(100)), order: uint64(i)})
		if i%3 == 0 {
			q.pop()
		}
	}
	for last := q.pop(); len(q) > 0; {
		next := q.pop()
		if next.before(&last) {
			t.Fatal(fmt.Sprint(next.at, " after ", last.at))
		}
		last = next
	}
}
