// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"croft/lease"
	"croft/lease/leasetest"
	"croft/node/api"
)

func TestCalendarIsDrawn(t *testing.T) {
	term := lease.Term{From: 1000, Until: 1600}
	p := api.PoolCalendar{PoolRule: lease.PoolRule{Pool: lease.PoolCalendar, Mechanism: "calendar", Capacity: lease.RSet{lease.CPU: 1000}},
		Levels: []lease.Level{{At: 1000}, {At: 1100, Load: lease.RSet{lease.CPU: 1}}, {At: 1200, Load: lease.RSet{lease.CPU: 500}},
			{At: 1300, Load: lease.RSet{lease.CPU: 1000}}, {At: 1305}}, Seen: 1500,
		Claims: []api.Claim{{State: "leased", Slice: "evening", From: 1200, Until: 1300, Exclusive: true, Weight: 3}}}
	line, peak := drawPool(p, term, lease.CPU)
	if want := strings.Repeat(".", 10) + strings.Repeat("1", 10) + strings.Repeat("5", 10) + "#" + strings.Repeat(".", 19) + strings.Repeat("?", 10); line != want || peak != 1000 {
		t.Fatalf("%q peak %d, want\n%q", line, peak, want)
	}
	var out bytes.Buffer
	drawBooks(&out, api.Calendar{Term: term, Pools: []api.PoolCalendar{p}}, []lease.Resource{lease.CPU})
	for _, want := range []string{"calendar (calendar)", "peak 1000 of 1000", "evening weight 3 alone", strings.Repeat(" ", 20) + strings.Repeat("=", 10)} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
}

func TestTheTreeIsPrinted(t *testing.T) {
	holder := leasetest.Who("alice")
	of := func(depth int, drawn, left uint64) api.Promised {
		return api.Promised{Claim: lease.ID{byte(depth)}, Depth: depth, Holder: holder, Slot: 3, Degree: 150, RSet: lease.RSet{lease.CPU: 900},
			Drawn: lease.RSet{lease.CPU: drawn}, Left: lease.RSet{lease.CPU: left}}
	}
	var out bytes.Buffer
	drawTree(&out, api.Calendar{Tree: []api.Promised{of(0, 500, 450), of(1, 400, 50)}, More: 7}, []lease.Resource{lease.CPU})
	lines := strings.Split(out.String(), "\n")
	if len(lines) != 5 || !strings.HasSuffix(lines[1], "\t150\t500\t900\t450") || !strings.HasPrefix(lines[2], "  "+lease.ID{1}.Short()+"\t"+holder.Short()+"\t3\t") ||
		lines[3] != "and 7 more" {
		t.Errorf("got\n%s", &out)
	}
}

func TestInstantsAreRead(t *testing.T) {
	now := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"":                     now,
		"now":                  now,
		"+90m":                 now.Add(90 * time.Minute),
		"18:30":                time.Date(2026, 5, 4, 18, 30, 0, 0, time.UTC),
		"09:00":                time.Date(2026, 5, 5, 9, 0, 0, 0, time.UTC),
		"2026-06-01 08:15":     time.Date(2026, 6, 1, 8, 15, 0, 0, time.UTC),
		"2026-06-01T08:15:00Z": time.Date(2026, 6, 1, 8, 15, 0, 0, time.UTC),
	} {
		if got, err := parseAt(text, now); err != nil || !got.Equal(want) {
			t.Errorf("%q: got %s %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"soon", "+", "-2h", "25:00", "2026-13-01 00:00"} {
		if got, err := parseAt(text, now); err == nil {
			t.Errorf("%q is %s", text, got)
		}
	}
}
