// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"testing"
	"testing/synctest"
	"time"

	"croft/node/journal"
	"croft/node/journal/journaltest"
)

// onModel is the journal on the stack's disk.
type onModel struct {
	disk  *disk
	found []journal.Record
}

func (l *onModel) append(t *testing.T, records []string, while func()) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		j, found, err := journal.Open("", journal.Options{Disk: l.disk, Ballast: -1})
		if err != nil {
			t.Fatal(err)
		}
		l.found = found
		if len(records) == 0 {
			while()
			return
		}
		var list []journal.Record
		for _, r := range records {
			list = append(list, journal.Record(r))
		}
		done := make(chan error, 1)
		go func() { done <- j.Append(list...) }()
		<-time.After(syncLeast / 2) // the frame is written and not synced
		while()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}

func (l *onModel) Append(t *testing.T, records ...string) {
	l.append(t, records, func() {})
	l.disk = l.disk.after(true, nil) // it is durable
}

func (l *onModel) Cut(t *testing.T, share float64, records ...string) {
	var next *disk
	l.append(t, records, func() { next = l.disk.after(true, func(n int) int { return int(share * float64(n-1)) }) })
	l.disk = next
	l.append(t, nil, func() {})
	l.disk = l.disk.after(false, nil)
}

func (l *onModel) Records() []string { return asText(l.found) }

func TestDiskConformance(t *testing.T) {
	journaltest.Run(t, func(*testing.T) journaltest.Log { return &onModel{disk: newDisk()} })
}
