// SPDX-License-Identifier: Apache-2.0

package report

import (
	"strings"
	"testing"
	"time"
)

// One table says of several runs what was expected and what came, of a part of a run
// that it is one.
func TestSummary(t *testing.T) {
	s := read(t, "nodes 1000\nend 1m\nexpect delivery p99 <= 2s in world\nexpect delivery share >= 99%\nexpect lookup p95 <= 2x since 20s\nexpect safety\n")
	rec := NewRecorder("world", s)
	rec.Safety = &Safety{}
	rec.Measure("delivery", "").Add(time.Second, int64(3*time.Second))
	rec.Set("delivery", "", "share", 0.995)
	whole := rec.Report(time.Minute, false, "")
	whole.Name, whole.Wall, whole.Peak, whole.Machine, whole.Date = "a|b", 90*time.Second, 2e9, "a machine", time.Date(2026, 11, 23, 1, 2, 3, 0, time.UTC)
	part := NewRecorder("stack", s).Report(29*time.Second, true, "")
	part.Name, part.Machine, part.Date = "b", whole.Machine, whole.Date

	runs := []*Report{whole, part}
	want := `Played on 2026-11-23, a machine.

| scenario | world | nodes | figure | reached | target | holds | wall | memory |
|---|---|---|---|---|---|---|---|---|
| a\|b | world | 1,000 | delivery p99 | 2.99 s | ≤ 2 s | **no** | 1m30s | 2 GB |
|  |  |  | delivery share | 99.5 % | ≥ 99 % | yes |  |  |
|  |  |  | lookup p95 | nothing to compare came about | ≤ 2x since 20s | **no** |  |  |
|  |  |  | safety | 0 breaches | 0 breaches | yes |  |  |
| b | stack | 1,000 | - | interrupted at 29s | the whole run | **no** | 0s | - |
`
	if got := Summary(runs).Markdown(runs); got != want {
		t.Errorf("got\n%s", strings.ReplaceAll(got, "\n", "\n\t"))
	}
}

// What is known only when a run has ended is held against what was expected of it, too.
func TestLate(t *testing.T) {
	s := read(t, "nodes 5\nend 1m\nexpect wall ratio <= 4 in stack\nexpect wall time <= 1h\nexpect wall ratio <= 2 in world\n")
	rec := NewRecorder("stack", s)
	rec.Set("wall", "", "time", 60)
	for _, got := range []float64{5, 3} {
		r := rec.Report(time.Minute, false, "")
		if len(r.Expects) != 2 || r.Expects[0].OK || !r.Expects[1].OK {
			t.Fatalf("before it is known: %+v", r.Expects)
		}
		r.Late(s, Value{Figure: "wall", Stat: "ratio", Value: got})
		if v := r.Expects[0]; v.OK != (got <= 4) || !r.Expects[1].OK || v.reached(r) != Text(got, "") {
			t.Errorf("%v: %+v", got, r.Expects)
		}
	}
}

// A row is made of whatever a file has for an expectation.
func TestSummaryOfAnything(t *testing.T) {
	for _, text := range []string{"", "expect", "history 00ff", "expect <= 2x since ", "= ", "expect lookup p95 <= 2x since 20s in world"} {
		r := &Report{World: "world", Virtual: 1, Expects: []Verdict{{Expect: text}}}
		if got := Summary([]*Report{r}); len(got.Rows) != 1 || len(got.Rows[0]) != len(got.Head) || got.Rows[0][3] == "" && text != "= " && text != "expect <= 2x since " {
			t.Errorf("%q: %q", text, got.Rows)
		}
	}
}
