// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"croft/ebpf"
	"croft/ebpf/audit"
	"croft/ebpf/audit/store"
)

// half is a verdict of half an hour in which a figure goes by what heap says.
func half(heap func(minute float64) float64) verdict {
	v := verdict{Span: 30 * time.Minute, Asked: &asked{}, Counted: observed{Slivers: 1}}
	v.Total.take([]store.Accounted{{EpochLeaf: audit.EpochLeaf{Rows: 1, Seen: 3, Recorded: 2, Dropped: []uint64{0, 0, 1}}}}, nil, nil)
	for i := range 180 {
		at := time.Duration(i+1) * 10 * time.Second
		v.Samples = append(v.Samples, soakSample{At: at, Heap: heap(at.Minutes()), Anon: 60, Threads: 20})
	}
	return v
}

func TestFlat(t *testing.T) {
	for _, c := range []struct {
		what string
		heap func(float64) float64
		flat bool
	}{
		{"steady", func(float64) float64 { return 40 }, true},
		{"filling at first", func(m float64) float64 { return min(40, 10*m) }, true},
		{"up and down", func(m float64) float64 { return 40 + 20*float64(int(m*6)%3) }, true},
		{"shrinking", func(m float64) float64 { return 80 - m }, true},
		{"a tenth more in the half-hour", func(m float64) float64 { return 40 + 4*m/30*3 }, false},
		{"leaking amid ups and downs", func(m float64) float64 { return 40 + 5*float64(int(m*6)%3) + 2*m }, false},
	} {
		err := half(c.heap).err()
		if flat := err == nil; flat != c.flat {
			t.Errorf("%s: flat %v: %v", c.what, flat, err)
		}
	}
	v := half(func(m float64) float64 { return m })
	if v.Span = time.Minute; v.err() != nil {
		t.Errorf("a minute is judged: %v", v.err())
	}
}

// TestVerdictFails: whatever was to hold and did not is an error.
func TestVerdictFails(t *testing.T) {
	steady := func(float64) float64 { return 40 }
	if err := half(steady).err(); err != nil {
		t.Fatal(err)
	}
	for what, harm := range map[string]func(*verdict){
		"nothing was recorded":             func(v *verdict) { v.Total = accounts{} },
		"1 packets passed without a row":   func(v *verdict) { v.Total.Unrecorded++; v.Total.Seen++ },
		"accounted for":                    func(v *verdict) { v.Total.Seen++ },
		"devices sent":                     func(v *verdict) { v.Counted.Off = []string{"open-1"} },
		"no sliver's device":               func(v *verdict) { v.Counted.Slivers = 0 },
		"tracked connections 5 are":        func(v *verdict) { v.Stayed = 5 },
		"who failed":                       func(v *verdict) { v.Asked.did(nil, "who", ebpf.ErrField) },
		"1 epochs does not balance: alarm": func(v *verdict) { v.Total.take(nil, []audit.Alarm{{Kind: audit.AlarmGap}}, nil) },
	} {
		v := half(steady)
		harm(&v)
		if err := v.err(); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestAccounts: what is added up is that of the epochs, drains are seen, and what
// the record's budget takes is no breach.
func TestAccounts(t *testing.T) {
	var a accounts
	at := time.Unix(1000, 0)
	for i := range 3 {
		at = at.Add(5 * time.Second)
		a.take([]store.Accounted{{EpochLeaf: audit.EpochLeaf{At: at.UnixNano(), Rows: 10, Seen: 100, Recorded: 90, Dropped: []uint64{0, 0, 0, 10}},
			Newest: at, Kept: at.Add(time.Duration(i+1) * time.Second)}}, nil, nil)
		if i == 0 {
			a.take(nil, []audit.Alarm{{Kind: audit.AlarmBudget}}, nil)
		}
	}
	if a.Epochs != 3 || a.Breaches != 0 || a.Rows != 30 || a.Seen != 300 || a.dropped() != 30 || a.LongestD != 3*time.Second || a.Apart != 5*time.Second || a.Alarms["budget"] != 1 {
		t.Errorf("%+v", a)
	}
	if got, want := a.reasons(), fmt.Sprintf(" %s=30", ebpf.ReasonMalformed); got != want {
		t.Errorf("reasons %q, want %q", got, want)
	}
	if d := a.since(a); d.Epochs != 0 || d.Seen != 0 || d.dropped() != 0 {
		t.Errorf("since itself: %+v", d)
	}
}
