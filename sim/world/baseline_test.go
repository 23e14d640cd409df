// SPDX-License-Identifier: Apache-2.0

package world

import (
	"strings"
	"testing"

	"croft/sim/report"
	"croft/sim/scenario"
)

// Finds at two rates stand beside servers that were asked the same at these rates and
// at SWORD's; and a baseline changes nothing in the history.
func TestBaseline(t *testing.T) {
	s, err := scenario.Parse("nodes 60\njoin wave=20\nat 60s find where=\"cpu>=500\" view=off count=4 every=5s\nat 80s find where=\"cpu>=500\" view=off count=20 every=300ms\nend 90s")
	if err != nil {
		t.Fatal(err)
	}
	play := func(baseline bool) *report.Report {
		r, err := Run(t.Context(), s, Options{Baseline: baseline})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	alone, beside := play(false), play(true)
	if alone.History != beside.History {
		t.Error("a baseline changes the history")
	}
	if len(alone.Tables) != 1 || len(alone.Tables[0].Rows) != 2 || len(alone.Tables[0].Columns) != 6 || len(alone.Curves) != 2 || len(alone.Curves[0].Lines) != 2 {
		t.Errorf("without servers: %+v", alone.Tables)
	}
	table := beside.Tables[0]
	var rates []string
	for _, row := range table.Rows {
		rates = append(rates, row.Case)
		if own := row.Case == "12" || row.Case == "200"; own != (row.Values[0] != nil) || len(row.Values) != len(table.Columns) {
			t.Errorf("%s a minute: %v", row.Case, row.Values)
		}
		one, two := row.Values[6], row.Values[9]
		if one == nil || two == nil || *one <= 0 || *two >= *one || *row.Values[8] <= 0 {
			t.Errorf("%s a minute: one server %v, two %v", row.Case, one, two)
		}
	}
	if got := strings.Join(rates, " "); got != "1 10 12 40 100 200" {
		t.Errorf("at %s a minute", got)
	}
	if notes := strings.Join(beside.Foot.Notes, "\n"); !strings.Contains(notes, "index servers beside it") || len(alone.Foot.Notes) > 0 {
		t.Errorf("%q, and without %q", notes, alone.Foot.Notes)
	}
	for _, c := range beside.Curves {
		if len(c.Lines) != 4 || len(c.Lines[0].Points) != 2 || len(c.Lines[3].Points) != 6 {
			t.Errorf("%+v", c)
		}
	}
}

// Where nobody asks the index there is nothing to compare with, which is said.
func TestBaselineOfNothing(t *testing.T) {
	s, err := scenario.Parse("nodes 3\nend 5s")
	if err != nil {
		t.Fatal(err)
	}
	r, err := Run(t.Context(), s, Options{Baseline: true})
	if err != nil || len(r.Tables) > 0 || len(r.Foot.Notes) != 1 || !strings.Contains(r.Foot.Notes[0], "nothing") {
		t.Errorf("%v: %+v", err, r)
	}
}
