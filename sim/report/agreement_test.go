// SPDX-License-Identifier: Apache-2.0

package report

import (
	"slices"
	"testing"
	"time"
)

// The foot says of each figure of a run how far the worlds were apart when they were
// compared, or that they were not.
func TestAgreement(t *testing.T) {
	a := Agreement{Scenario: "agree", Nodes: 60, Seeds: 3, Date: "2026-11-23"}
	a.Note("delivery", "p50", 0.1049, 1.2)
	a.Note("lookup", "p95", 0.3, 0.6)
	a.Note("delivery", "p50", 0.07, 0.9)
	a.Note("delivery", "p50", 0.08, 1)

	rec := NewRecorder("world", read(t, "nodes 5\nend 1m"))
	rec.Measure("get", "").Add(time.Second, 5)
	rec.Measure("delivery", "").Add(time.Second, 5)
	rec.Measure("requests", "find").Observe(3) // of a part
	r := rec.Report(time.Minute, false, "")
	want := []string{"world beside stack in agree, 60 nodes, 3 seeds, on 2026-11-23",
		"delivery KS 0.07 to 0.10, p50 0.90 to 1.20 times the stack's", "not compared: get"}
	if got := a.Beside(r); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if r.World = "lab"; a.Beside(r) != nil {
		t.Error("the lab models nothing")
	}
	if r.World, r.Nodes = "world", 0; a.Beside(r) != nil {
		t.Error("trials have no counterpart")
	}
}
