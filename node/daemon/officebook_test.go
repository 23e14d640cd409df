// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"croft/lease/leasetest"
	"croft/node/journal"
	"croft/node/role"
)

func officeBookIn(state string) *officeBook {
	return &officeBook{dir: filepath.Join(state, "roles", "discovery"), log: slog.New(slog.DiscardHandler), sync: syncDir}
}

func factOf(n int, kind role.FactKind, label string) role.Fact {
	return role.Fact{Role: "discovery", Kind: kind, Tenant: role.SliceTenant(label, leasetest.Who("alice")), At: time.Unix(int64(n), 0).UTC()}
}

// Who is tried and dropped a thousand times makes no endless journal, and what has a
// bearing is in it still.
func TestTheJournalOfARoleIsShortened(t *testing.T) {
	state := t.TempDir()
	b := officeBookIn(state)
	keep := func(facts ...role.Effect) {
		t.Helper()
		if err := b.keep(facts); err != nil {
			t.Fatal(err)
		}
	}
	keep(factOf(1, role.FactHeld, "first"), factOf(2, role.FactHeld, "second"))
	longest, last := int64(0), int64(0)
	for n := 3; n < maxRoleFacts+300; n += 100 {
		var batch []role.Effect
		for i := range 50 {
			batch = append(batch, factOf(n+2*i, role.FactTried, "a"), factOf(n+2*i+1, role.FactDropped, "a"))
		}
		keep(batch...)
		info, err := os.Stat(filepath.Join(b.dir, journal.FileName))
		if err != nil {
			t.Fatal(err)
		}
		last = info.Size()
		longest = max(longest, last)
	}
	if last >= longest || len(b.facts) > maxRoleFacts {
		t.Errorf("%d bytes at the end, %d at the longest; %d facts", last, longest, len(b.facts))
	}
	keep(factOf(9999, role.FactTried, "b"))
	if err := b.close(); err != nil {
		t.Fatal(err)
	}
	again := officeBookIn(state)
	if err := again.open(); err != nil {
		t.Fatal(err)
	}
	defer again.close()
	if !slices.Equal(again.facts, b.facts) {
		t.Errorf("read anew: %v, was %v", again.facts, b.facts)
	}
	s := role.New(role.Config{Role: role.Discovery()})
	for _, f := range again.facts {
		s.Restore(f)
	}
	var got []string
	for _, st := range s.Standings() {
		got = append(got, fmt.Sprintf("%s %.6s", st.Place, st.Tenant))
	}
	if fmt.Sprint(got) != "[incumbent second fallback first@ challenger b@"+leasetest.Who("alice").String()[:4]+"]" {
		t.Errorf("%v", got)
	}
}

// The folder of the first fact is durable before the fact counts: a disk that does not
// take its name takes no fact.
func TestTheFolderOfARoleIsDurable(t *testing.T) {
	state := t.TempDir()
	b := officeBookIn(state)
	var synced []string
	broken := errors.New("the disk is broken")
	b.sync = func(dir string) error {
		synced = append(synced, dir)
		if _, err := os.Stat(filepath.Join(dir, "roles")); err != nil {
			t.Errorf("before the folder was made: %v", err)
		}
		return broken
	}
	if err := b.keep([]role.Effect{factOf(1, role.FactHeld, "first")}); !errors.Is(err, broken) || len(b.facts) != 0 {
		t.Errorf("kept all the same: %v, %v", err, b.facts)
	}
	if !slices.Equal(synced, []string{state}) {
		t.Errorf("made durable: %v", synced)
	}
	b.sync = syncDir
	if err := b.keep([]role.Effect{factOf(1, role.FactHeld, "first")}); err != nil || len(b.facts) != 1 {
		t.Errorf("then: %v, %v", err, b.facts)
	}
	if err := b.close(); err != nil {
		t.Error(err)
	}
}
