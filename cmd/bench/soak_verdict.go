// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
)

// Memory is flat when the median of a figure over the last third of the samples is
// above that of the first third by no more than flatShare of it, and the spread of
// the first third: what the figure goes up and down by anyway. The first sixth does
// not count: caches fill, and the record grows up to its budget.
const (
	flatShare = 0.02
	warmup    = 1.0 / 6
	minFlat   = 10 * time.Minute // of a soak, below which nothing is said about memory
)

// A verdict is what a soak has found.
type verdict struct {
	Machine machine
	Held    float64 // packets/s asked for
	Span    time.Duration
	Samples []soakSample
	Total   accounts
	Sent    uint64 // packets that were put on devices, in all
	Counted observed
	Asked   *asked
	Stayed  int // connections that were tracked still when their time was over
}

// observed is what slivers' own devices sent, beside what the guard saw.
type observed struct {
	Slivers       int
	Device, Guard uint64
	Off           []string // slivers of which the two differ
}

// A trend is how one figure went.
type trend struct {
	what        string
	unit        string
	first, last float64 // medians of the first and the last third
	spread      float64 // half of the distance between the quartiles of the first third
	slope       float64 // by least squares, a half-hour
	judged      bool
}

func (t trend) flat() bool { return t.last <= t.first*(1+flatShare)+t.spread+t.floor() }

// floor is the least step of a figure that is counted in whole things.
func (t trend) floor() float64 { return 1 }

func (t trend) String() string {
	said := "       "
	if t.judged {
		said = "flat   "
		if !t.flat() {
			said = "GROWS  "
		}
	}
	return fmt.Sprintf("  %s%-28s %9s → %9s %-4s (%+.1f %%), spread ±%s, slope %+.2g a half-hour", said, t.what, number(t.first), number(t.last), t.unit,
		100*(t.last/math.Max(t.first, 1e-9)-1), number(t.spread), t.slope)
}

// trends looks at every figure that must not grow, and at some that may.
func (v verdict) trends() (all []trend) {
	long := v.Span >= minFlat
	from := int(float64(len(v.Samples)) * warmup)
	kept := v.Samples[from:]
	third := len(kept) / 3
	if third == 0 {
		return nil
	}
	for _, f := range []struct {
		what, unit string
		of         func(soakSample) float64
		judged     bool
	}{
		{"heap after a collection", "MB", func(x soakSample) float64 { return x.Heap }, true},
		{"memory of the process", "MB", func(x soakSample) float64 { return x.Anon }, true},
		{"stacks", "MB", func(x soakSample) float64 { return x.Stacks }, true},
		{"threads", "", func(x soakSample) float64 { return float64(x.Threads) }, true},
		{"open files", "", func(x soakSample) float64 { return float64(x.Files) }, true},
		{"eBPF maps", "", func(x soakSample) float64 { return float64(x.Maps) }, true},
		{"memory of eBPF maps", "MB", func(x soakSample) float64 { return x.MapMemory }, true},
		{"pins", "", func(x soakSample) float64 { return float64(x.Pins) }, true},
		{"tracked connections", "", func(x soakSample) float64 { return float64(x.Entries) }, false}, // as many as are opened in 15 s: they go by the rate
		{"slab, of the whole machine", "MB", func(x soakSample) float64 { return x.Slab }, false},
		{"record on disk", "MB", func(x soakSample) float64 { return x.Record }, false},
		{"bytes in queues", "B", func(x soakSample) float64 { return float64(x.Backlog) }, false},
		{"drain", "s", func(x soakSample) float64 { return x.Epochs.Drain.Seconds() }, false},
	} {
		var at, y sample
		for _, x := range kept {
			at, y = append(at, x.At.Seconds()/1800), append(y, f.of(x))
		}
		first := y[:third]
		all = append(all, trend{f.what, f.unit, first.median(), y[len(y)-third:].median(),
			(first.quantile(0.75) - first.quantile(0.25)) / 2, slope(at, y), f.judged && long})
	}
	return all
}

// slope is that of the line with the least squares.
func slope(x, y sample) float64 {
	var sx, sy, sxx, sxy float64
	n := float64(len(x))
	for i := range x {
		sx, sy, sxx, sxy = sx+x[i], sy+y[i], sxx+x[i]*x[i], sxy+x[i]*y[i]
	}
	if d := n*sxx - sx*sx; d != 0 {
		return (n*sxy - sx*sy) / d
	}
	return 0
}

// err lists what did not hold.
func (v verdict) err() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	t := v.Total
	if t.Epochs == 0 || t.Rows == 0 {
		bad("nothing was recorded")
	}
	if t.Breaches > 0 {
		bad("the account of %d epochs does not balance: %s", t.Breaches, strings.Join(t.Faults, "; "))
	}
	if t.Unrecorded > 0 {
		bad("%d packets passed without a row", t.Unrecorded)
	}
	if t.Seen != t.Recorded+t.Unrecorded+t.NoSliver+t.dropped() {
		bad("in all, %d packets were seen and %d accounted for", t.Seen, t.Recorded+t.Unrecorded+t.NoSliver+t.dropped())
	}
	if len(v.Counted.Off) > 0 {
		bad("slivers' devices sent what the guard did not see, or the other way: %s", strings.Join(v.Counted.Off, "; "))
	}
	if v.Counted.Slivers == 0 {
		bad("no sliver's device was held against the guard")
	}
	if n := len(v.Samples); n > 0 && v.Stayed > v.Samples[n-1].Entries/10 {
		bad("of %d tracked connections %d are there when their time is over", v.Samples[n-1].Entries, v.Stayed)
	}
	for _, t := range v.trends() {
		if t.judged && !t.flat() {
			bad("%s grows from %s to %s %s", t.what, number(t.first), number(t.last), t.unit)
		}
	}
	for kind, n := range v.Asked.Failed {
		bad("%s failed %d times: %s", kind, n, v.Asked.First[kind])
	}
	return errors.Join(errs...)
}

func (v verdict) print(w io.Writer) {
	t, span := v.Total, v.Span.Seconds()
	fmt.Fprintf(w, "\n%s of %.0f packets/s asked for\n", v.Span, v.Held)
	fmt.Fprintf(w, "  identity exact in %d of %d epochs; unrecorded %d\n", t.Epochs-t.Breaches, t.Epochs, t.Unrecorded)
	fmt.Fprintf(w, "  %d packets seen (%.0f/s): %d recorded, %d dropped, %d of no sliver\n", t.Seen, float64(t.Seen)/span, t.Recorded, t.dropped(), t.NoSliver)
	fmt.Fprintf(w, "  dropped by reason:%s\n", t.reasons())
	fmt.Fprintf(w, "  %d rows (%.0f/s, at most %d in an epoch); %.1f bytes each as they came\n", t.Rows, float64(t.Rows)/span, t.MostRows, float64(t.Bytes)/float64(max(t.Rows, 1)))
	if t.drains > 0 {
		fmt.Fprintf(w, "  from an epoch's last packet until it was durable: %.2f s in the mean, %.2f s at most; epochs at most %.1f s apart\n",
			t.allDrains.Seconds()/float64(t.drains), t.LongestD.Seconds(), t.Apart.Seconds())
	}
	fmt.Fprintf(w, "  %d slivers' own devices sent %d packets, and the guard saw %d\n", v.Counted.Slivers, v.Counted.Device, v.Counted.Guard)
	for _, kind := range slices.Sorted(maps.Keys(t.Alarms)) {
		fmt.Fprintf(w, "  alarm %s: %d\n", kind, t.Alarms[kind])
	}
	a := v.Asked
	fmt.Fprintf(w, "  audit who: %d answers, %d exact, median %s s, slowest %s s; top: %d, median %s s\n", a.Who, a.Exact, number(a.whoTook.median()), number(a.whoTook.quantile(1)), a.Top, number(a.topTook.median()))
	fmt.Fprintf(w, "  %d renewals; %d slivers came, %d of them were stopped and %d ended with their lease\n", a.Renewals, a.Came, a.Stopped, a.Ended)
	if n := len(v.Samples); n > 1 {
		cpu := v.Samples[n-1].CPU - v.Samples[0].CPU
		fmt.Fprintf(w, "  the daemon used %.0f %% of a core\n", 100*cpu/(v.Samples[n-1].At-v.Samples[0].At).Seconds())
	}
	fmt.Fprintf(w, "  tracked connections when the traffic was over: %d\n", v.Stayed)
	if v.Span < minFlat {
		fmt.Fprintf(w, "  %s are too short to say whether memory is flat: want %s\n", v.Span, minFlat)
	}
	for _, x := range v.trends() {
		fmt.Fprintln(w, x)
	}
	if err := v.err(); err != nil {
		fmt.Fprintf(w, "does not hold:\n  %s\n", strings.ReplaceAll(err.Error(), "\n", "\n  "))
	} else {
		fmt.Fprintln(w, "holds")
	}
}
