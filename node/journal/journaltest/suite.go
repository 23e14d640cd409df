// SPDX-License-Identifier: Apache-2.0

// Package journaltest holds what a power failure leaves of a journal as tests, which
// the journal on a real disk and the models of simulations pass alike.
//
//	func TestConformance(t *testing.T) {
//		journaltest.Run(t, func(t *testing.T) journaltest.Log { … })
//	}
//
// The suite calls from one goroutine at a time.
package journaltest

import (
	"fmt"
	"slices"
	"testing"
)

// Log is a journal on a disk of its own, or a model of both.
type Log interface {
	// Append writes a frame of records and returns when it is durable.
	Append(t *testing.T, records ...string)
	// Cut fails the power when a share of one more frame, from 0 to 1, has reached the
	// disk, and opens what is left.
	Cut(t *testing.T, share float64, records ...string)
	// Records are those that the last opening found, in order.
	Records() []string
}

// Run runs the suite, each test with a log of its own.
func Run(t *testing.T, fresh func(*testing.T) Log) {
	for name, test := range map[string]func(*testing.T, func(*testing.T) Log){
		"what was acknowledged is there": acknowledged,
		"a frame is whole or not there":  wholeOrNot,
		"it goes on after a cut":         goesOn,
		"nothing comes back":             nothingBack,
	} {
		t.Run(name, func(t *testing.T) { test(t, fresh) })
	}
}

func want(t *testing.T, l Log, records ...string) {
	t.Helper()
	if got := l.Records(); !slices.Equal(got, records) {
		t.Errorf("found %q, want %q", got, records)
	}
}

func acknowledged(t *testing.T, fresh func(*testing.T) Log) {
	l := fresh(t)
	l.Append(t, "a")
	l.Append(t, "b", "c")
	l.Append(t, "d")
	l.Cut(t, 0, "e")
	want(t, l, "a", "b", "c", "d")
}

func wholeOrNot(t *testing.T, fresh func(*testing.T) Log) {
	const cuts = 50
	whole := 0
	for i := range cuts + 1 {
		l := fresh(t)
		l.Append(t, "acknowledged")
		l.Cut(t, float64(i)/cuts, "first of two", "second of two")
		if all := []string{"acknowledged", "first of two", "second of two"}; slices.Equal(l.Records(), all) {
			whole++
			continue
		}
		want(t, l, "acknowledged")
		if i == cuts {
			t.Error("all of a frame reached the disk, and it is not there")
		}
	}
	if whole == 0 || whole > cuts/2 {
		t.Errorf("of %d cuts %d left the frame whole", cuts+1, whole)
	}
}

func goesOn(t *testing.T, fresh func(*testing.T) Log) {
	l := fresh(t)
	var all []string
	for i := range 5 {
		record := fmt.Sprint("record ", i)
		l.Append(t, record)
		l.Cut(t, float64(i)/10, "lost", "too")
		all = append(all, record)
		want(t, l, all...)
	}
}

// A frame that was cut does not show up when others are written after it.
func nothingBack(t *testing.T, fresh func(*testing.T) Log) {
	l := fresh(t)
	l.Append(t, "a")
	l.Cut(t, 0.9, "gone for good", "and that")
	l.Append(t, "b")
	l.Cut(t, 0)
	want(t, l, "a", "b")
}
