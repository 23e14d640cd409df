// SPDX-License-Identifier: Apache-2.0

package play

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"croft/sim/lab"
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

// What a lab cannot do is refused by name, with its line.
func TestCannot(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"nodes 6\nat 1s fault hostile kind=flood count=1", "line 2: fault hostile flood"},
		{"nodes 6\nat 1s fault delay by=10ms", "line 2: fault delay"},
		{"nodes 6\nat 1s fault duplicate rate=0.1", "line 2: fault duplicate"},
		{"nodes 6\nat 1s fault reorder rate=0.1", "line 2: fault reorder"},
		{"nodes 6\nat 1s fault skew by=10s", "line 2: fault skew"},
		{"nodes 6\nat 1s fault kill count=1 power=yes", "line 2: fault kill power=yes"},
		{"nodes 6\nat 1s fault restart count=1 power=yes", "line 2: fault restart power=yes"},
		{"nodes 6\nexpect degree mean >= 1", "line 2: expect degree"},
		{"nodes 6 view=100", "view=100"},
		{"nodes 1", "1 nodes"},
		{"nodes 51", "51 nodes"},
		{"nodes 6\nhistory " + strings.Repeat("0", 64), "history"},
	} {
		if err := cannot(read(t, c.text)); !errors.Is(err, report.ErrCannot) || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%q: %v, want %s", c.text, err, c.want)
		}
		if _, err := Run(t.Context(), read(t, c.text), Options{}); !errors.Is(err, report.ErrCannot) {
			t.Errorf("%q is played: %v", c.text, err)
		}
	}
	text, err := scenarios.Text("three")
	if err != nil {
		t.Fatal(err)
	}
	if err := cannot(read(t, text)); err != nil {
		t.Error(err)
	}
}

// The lab has the places of the profile, as far apart as the world has them.
func TestLayout(t *testing.T) {
	c, err := layout(read(t, "nodes 6 profile=planetlab"), lab.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Nodes) != 6 || len(c.Sites) != 3 {
		t.Fatalf("%d nodes at %d sites", len(c.Nodes), len(c.Sites))
	}
	if d := c.OneWay(c.Sites[0], c.Sites[1]); d <= 0 || d != c.OneWay(c.Sites[1], c.Sites[0]) {
		t.Errorf("the first two are %s apart", d)
	}
	if c.Late(0) || !c.Late(1) {
		t.Error("all but the first join late")
	}
	if got := c.Nodes[0].Capacity["cpu"]; got == "" || c.Nodes[0].Capacity["io"] == "" {
		t.Errorf("capacity %v", c.Nodes[0].Capacity)
	}
	c, err = layout(read(t, "nodes 4 profile=flat"), lab.Config{})
	if err != nil || len(c.Sites) != 4 || c.OneWay(c.Sites[0], c.Sites[3]) != 25*time.Millisecond {
		t.Errorf("flat: %v, %d sites", err, len(c.Sites))
	}
}

func TestJoins(t *testing.T) {
	at := joins(read(t, "nodes 5\njoin wave=2 every=3s"))
	if at[0] != 0 || at[1] != 0 || at[2] != 3*time.Second || at[4] != 6*time.Second {
		t.Error(at)
	}
}

func people(n int) (list []*player) {
	for i := range n {
		list = append(list, &player{index: i, name: string(rune('a' + i)), isUp: true, address: netip.AddrFrom4([4]byte{198, 18, 1, byte(11 + i)})})
	}
	return list
}

func TestRules(t *testing.T) {
	all := people(3)
	got := parted(all, all[:1])
	for _, want := range []string{"hook input", "ip saddr { 198.18.1.12, 198.18.1.13 } drop", "hook output", "ip daddr { 198.18.1.12, 198.18.1.13 } drop", "hook forward"} {
		if !strings.Contains(got, want) {
			t.Errorf("cut off by\n%s, which lacks %s", got, want)
		}
	}
	if got := lossy(all, all, 0.05, true); !strings.Contains(got, "numgen random mod 100000 < 5000 drop") || strings.Contains(got, "output") {
		t.Errorf("everybody loses by\n%s", got)
	}
	if got := lossy(all, all[:1], 0.05, false); !strings.Contains(got, "hook output") || !strings.Contains(got, "ip daddr { 198.18.1.12, 198.18.1.13 } numgen") {
		t.Errorf("one loses by\n%s", got)
	}
}

// Deliveries are told by when an offer was made and when a node was first seen to
// know it; whoever was not there all the time owes nothing.
func TestNews(t *testing.T) {
	s := read(t, "nodes 3 profile=flat")
	g := &game{scn: s, rec: report.NewRecorder("lab", s), news: map[publication]*news{}, nodes: people(3), began: time.Now().Add(-time.Minute)}
	g.figures = newFigures(g.rec)
	for _, p := range g.nodes {
		p.g = g
	}
	g.nodes[2].target = 2 // it has just come
	made := func(at time.Duration) uint64 { return uint64(g.began.Add(at).UnixMilli()) }
	first := publication{node: [32]byte{1}, sequence: made(10 * time.Second)}
	g.saw(g.nodes[0], first, "a", 10*time.Second)
	g.saw(g.nodes[1], first, "a", 10*time.Second+250*time.Millisecond)
	g.saw(g.nodes[1], first, "a", 15*time.Second)
	g.saw(g.nodes[2], first, "a", 16*time.Second)
	if n := g.figures.delivery.Count(); n != 1 {
		t.Errorf("%d deliveries, want that of b", n)
	}
	g.nodes[2].target = 0
	second, third := publication{[32]byte{1}, made(20 * time.Second)}, publication{[32]byte{1}, made(21 * time.Second)}
	g.saw(g.nodes[0], second, "a", 20*time.Second)
	g.saw(g.nodes[0], third, "a", 21*time.Second)
	g.saw(g.nodes[1], third, "a", 22*time.Second) // it has overtaken the second
	if due, reached := g.reached(); due != 5 || reached != 3 {
		t.Errorf("%d of %d came", reached, due)
	}
	g.saw(g.nodes[2], third, "a", 40*time.Second) // too late
	if due, reached := g.reached(); due != 5 || reached != 3 {
		t.Errorf("%d of %d came in time", reached, due)
	}
	g.nodes[2].since = 30 * time.Second // it was away
	if due, reached := g.reached(); due != 3 || reached != 3 {
		t.Errorf("%d of %d came", reached, due)
	}
	r := g.rec.Report(time.Minute, false, "")
	if v, ok := r.Value("delivery", "", "p50"); !ok || v.Value < 0.99 || v.Value > 1.01 {
		t.Errorf("delivery after %v s", v.Value)
	}
}

func TestTransmitted(t *testing.T) {
	text := "Inter-|   Receive  |  Transmit\n face |bytes packets\n    lo: 1 2 3 4 5 6 7 8 9 10\n  eth0: 100 2 0 0 0 0 0 0 4567 8 0\n"
	if n, ok := transmitted(text, "eth0"); !ok || n != 4567 {
		t.Error(n, ok)
	}
	if _, ok := transmitted(text, "eth1"); ok {
		t.Error("there is no eth1")
	}
}

func TestRanAfter(t *testing.T) {
	talk := `{"stage":"hold","got":3,"want":3,"seconds":0.5}
{"note":"something"}
{"stage":"running","got":1,"want":3,"seconds":1.25}
{"stage":"running","got":3,"want":3,"seconds":1.5}
`
	if d := ranAfter([]byte(talk)); d != 1500*time.Millisecond {
		t.Error(d)
	}
}
