// SPDX-License-Identifier: Apache-2.0

package journal_test

import (
	"os"
	"path/filepath"
	"testing"

	"croft/node/journal"
	"croft/node/journal/journaltest"
)

// onDisk is a journal in a directory of the real file system.
type onDisk struct {
	dir     string
	journal *journal.Journal
	found   []journal.Record
}

func (l *onDisk) open(t *testing.T) {
	t.Helper()
	var err error
	if l.journal, l.found, err = journal.Open(l.dir, journal.Options{Ballast: -1}); err != nil {
		t.Fatal(err)
	}
}

func (l *onDisk) Append(t *testing.T, records ...string) {
	t.Helper()
	var list []journal.Record
	for _, r := range records {
		list = append(list, journal.Record(r))
	}
	if err := l.journal.Append(list...); err != nil {
		t.Fatal(err)
	}
}

// Cut writes all of the frame and then takes back, from the end of what it changed
// in its file, what had not reached the disk.
func (l *onDisk) Cut(t *testing.T, share float64, records ...string) {
	t.Helper()
	before := l.files(t)
	if len(records) > 0 {
		l.Append(t, records...)
	}
	after := l.files(t)
	if err := l.journal.Close(); err != nil {
		t.Fatal(err)
	}
	for name, now := range after {
		was := before[name]
		first := 0
		for first < len(was) && first < len(now) && was[first] == now[first] {
			first++
		}
		if first == len(now) {
			continue
		}
		kept := first + int(share*float64(len(now)-first))
		torn := append([]byte{}, now[:kept]...)
		if kept < len(was) {
			torn = append(torn, was[kept:]...)
		}
		if err := os.WriteFile(filepath.Join(l.dir, name), torn, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l.open(t)
}

func (l *onDisk) files(t *testing.T) map[string][]byte {
	t.Helper()
	entries, err := os.ReadDir(l.dir)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]byte{}
	for _, e := range entries {
		if all[e.Name()], err = os.ReadFile(filepath.Join(l.dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func (l *onDisk) Records() (list []string) {
	for _, r := range l.found {
		list = append(list, string(r))
	}
	return list
}

func TestConformance(t *testing.T) {
	journaltest.Run(t, func(t *testing.T) journaltest.Log {
		l := &onDisk{dir: t.TempDir()}
		l.open(t)
		t.Cleanup(func() { l.journal.Close() })
		return l
	})
}
