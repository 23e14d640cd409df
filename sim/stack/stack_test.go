// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"croft/sim/report"
	"croft/sim/scenario"
)

// play runs a scenario in a bubble, which has to be empty afterwards.
func play(t *testing.T, text string) (r *report.Report) {
	t.Helper()
	s, err := scenario.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		if r, err = Run(t.Context(), s, Options{Dir: dir}); err != nil {
			t.Error(err)
		}
	})
	if r == nil {
		t.FailNow()
	}
	for _, v := range r.Expects {
		if !v.OK {
			t.Errorf("%s: %s", v.Expect, v.Got)
		}
	}
	return r
}

// Two daemons find one another, and hear of each other's offers.
func TestTwo(t *testing.T) {
	r := play(t, `nodes 2 profile=flat
join wave=1 every=1s
at 10s find view=on
at 11s find view=off
end 20s
expect lookup success = 1
expect delivery share = 1
`)
	if v, ok := r.Value("degree", "", "mean"); !ok || v.Value != 1 {
		t.Errorf("degree %v", v)
	}
}

// A slice is had, renewed and stopped as by the command, over real channels.
func TestSlice(t *testing.T) {
	r := play(t, `nodes 8
join wave=4 every=1s
at 20s slice web nodes=4 term=2m
at 60s renew web for=5m
at 4m  find where="cpu>=100" view=off
end 5m
expect slice web running = 4
expect slice web time <= 10s
expect lookup success = 1
`)
	if r.Slices[0].Outcome != "ok" {
		t.Errorf("it came to %+v", r.Slices)
	}
}

// Slivers that may hear one another on a topic of their slice, also when a daemon was
// down in between.
func TestTopic(t *testing.T) {
	r := play(t, `nodes 8
join wave=4 every=1s
at 20s slice web nodes=4
at 40s publish news slice=web bytes=300 count=20 every=2s
at 55s fault kill count=1 for=5s
end 2m
expect slice web running = 4
expect topic share = 1
expect topic p50 <= 300ms
`)
	for _, c := range r.Counts {
		if c.What == "topics said" && c.Count != 20 {
			t.Errorf("%d messages are said", c.Count)
		}
	}
}

// Who dies is left out soon, nobody else is suspected, and round trips are known
// roughly. Two of fourteen die: of three too few sites may be left to agree, for which
// docs/protocol/alive.md promises less, and gossip/alive's TestOfThreeThatDieAtOnce holds it.
func TestPresence(t *testing.T) {
	play(t, `nodes 14
join wave=5 every=1s
at 80s change fraction=1
at 95s fault kill count=2
end 3m
expect detection max <= 20s
expect suspicions count >= 6
expect suspicions false = 0
expect coordinate p50 <= 0.5
expect duplicates mean > 0
expect degree p50 >= 3
expect proofs count = 0
expect safety
`)
}

// Those that are killed come back with what they had promised.
func TestKilled(t *testing.T) {
	play(t, `nodes 8
join wave=4 every=1s
at 20s slice web nodes=6 term=1h
at 40s fault kill count=3 for=20s
at 2m  fault restart count=3
at 3m  stop web
end 4m
expect slice web running = 0
`)
}

// Wires that lose, are cut, or swallow everything: what is published comes in the end
// to whom it can, and who comes late hears of those that are there.
func TestFaults(t *testing.T) {
	r := play(t, `nodes 12
join wave=4 every=1s
at 20s  fault loss rate=0.05 for=30s
at 25s  change fraction=1
at 60s  fault partition count=4 for=20s
at 90s  change fraction=1
at 2m   fault blackhole count=2 for=1m
at 2m5s find view=off count=5
at 4m   fault kill count=3 for=5s
end 6m
expect lookup success = 1
expect delivery p50 <= 2s
expect latejoin max <= 20s
expect degree mean >= 3
`)
	if v, ok := r.Value("delivery", "", "share"); !ok || v.Value < 0.95 {
		t.Errorf("delivery %+v", v)
	}
}

// What the stack does not do is refused by name.
func TestCannot(t *testing.T) {
	for text, want := range map[string]string{
		"nodes 3\nat 1s fault hostile kind=flood count=1\n": "hostile flood",
		"nodes 3\nat 1s fault duplicate rate=0.1\n":         "duplicate",
		"nodes 3\nexpect utilisation share >= 0.5\n":        "utilisation",
		"nodes 3 view=5\n": "view=5",
		"nodes 100000\n":   "100000 nodes",
	} {
		s, err := scenario.Parse(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if _, err := Run(t.Context(), s, Options{}); !errors.Is(err, ErrCannot) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// Who is interrupted has what there was, and it says so.
func TestInterrupted(t *testing.T) {
	s, err := scenario.Parse("nodes 3\nend 1h\nexpect delivery share = 1\n")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context()) // of outside, as a signal's
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r, err := Run(ctx, s, Options{Dir: dir, Progress: func(p report.Progress) {
			if p.Now > 10*time.Second {
				cancel()
			}
		}})
		if err != nil || !r.Partial || r.OK() || r.Virtual > 20*time.Second || len(r.Expects) > 0 {
			t.Errorf("%+v, %v", r, err)
		}
	})
}
