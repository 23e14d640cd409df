// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"croft/node/journal"
)

// Whatever a cut leaves of a frame that was being written, what was acknowledged
// before is there; and what has a whole frame may be.
func TestTornDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		whole := 0
		for cut := range 200 {
			d := newDisk()
			j := opened(t, d)
			if err := j.Append(journal.Record("one")); err != nil {
				t.Fatal(err)
			}
			done := make(chan error, 1)
			go func() { done <- j.Append(journal.Record("two")) }()
			<-time.After(syncLeast / 2) // the frame is written and not synced
			again := d.after(true, func(n int) int { return min(cut, n-1) })
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			_, records, err := journal.Open("", journal.Options{Disk: again, Ballast: -1})
			if err != nil {
				t.Fatalf("cut at %d: %v", cut, err)
			}
			got := asText(records)
			if slices.Equal(got, []string{"one", "two"}) {
				whole++
			} else if !slices.Equal(got, []string{"one"}) {
				t.Fatalf("cut at %d: %v", cut, got)
			}
		}
		if whole == 0 || whole == 200 {
			t.Errorf("%d of 200 cuts left all of the frame", whole)
		}
		d := newDisk() // and with nothing under way
		if err := opened(t, d).Append(journal.Record("one")); err != nil {
			t.Fatal(err)
		}
		_, records, err := journal.Open("", journal.Options{Disk: d.after(true, nil), Ballast: -1})
		if err != nil || !slices.Equal(asText(records), []string{"one"}) {
			t.Errorf("with nothing under way: %v, %v", asText(records), err)
		}
	})
}

// The end of a process alone loses nothing that was written.
func TestKilledDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk()
		j := opened(t, d)
		done := make(chan error, 1)
		go func() { done <- j.Append(journal.Record("one")) }()
		<-time.After(syncLeast / 2)
		again := d.after(false, nil)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		_, records, err := journal.Open("", journal.Options{Disk: again, Ballast: -1})
		if err != nil || !slices.Equal(asText(records), []string{"one"}) {
			t.Errorf("%v, %v", asText(records), err)
		}
	})
}

func opened(t *testing.T, d *disk) *journal.Journal {
	t.Helper()
	j, _, err := journal.Open("", journal.Options{Disk: d, Ballast: -1})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func asText(records []journal.Record) (list []string) {
	for _, r := range records {
		list = append(list, string(r))
	}
	return list
}
