// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"sync"
	"time"
)

// Clock is the two clocks of a machine.
type Clock interface {
	Wall() time.Time
	Boot() int64 // CLOCK_BOOTTIME, ns: runs through suspend, never steps
}

// maxStep is how far the wall clock may be from the ledger's time before the
// node stops granting: NTP slews below it and steps above it.
const maxStep = 5 * time.Second

// ledgerTime is the time by which terms and fuses are judged: the wall clock as
// it was at the start, carried on by the boot clock. So nobody who sets the wall
// clock lengthens or cuts a lease that was granted, until the operator accepts
// the new time. It never goes back: where the journal, or the time that was told
// before, is ahead of the wall clock, it stands still until that has caught up.
// It is safe for concurrent use.
type ledgerTime struct {
	clock Clock

	mu    sync.RWMutex
	base  time.Time // the wall clock when it was accepted
	boot  int64     // the boot clock at the same instant
	floor time.Time // the latest instant that was told before that
}

func newLedgerTime(c Clock, journalLast time.Time) *ledgerTime {
	return &ledgerTime{clock: c, base: c.Wall().Round(0), boot: c.Boot(), floor: journalLast}
}

// accept takes the wall clock's word for the time from now on. Every deadline
// moves with it.
func (t *ledgerTime) accept() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now := t.runs(); now.After(t.floor) {
		t.floor = now
	}
	t.base, t.boot = t.clock.Wall().Round(0), t.clock.Boot()
}

// running is the time that never stands still.
func (t *ledgerTime) running() time.Time {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.runs()
}

func (t *ledgerTime) runs() time.Time { return t.base.Add(time.Duration(t.clock.Boot() - t.boot)) }

// now returns the ledger's time.
func (t *ledgerTime) now() time.Time {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if now := t.runs(); now.After(t.floor) {
		return now
	}
	return t.floor
}

// step returns how far the wall clock is ahead of the ledger's time, and whether
// that is too far to grant anything.
func (t *ledgerTime) step() (time.Duration, bool) {
	d := t.clock.Wall().Sub(t.now())
	return d, d > maxStep || d < -maxStep
}

// until returns how long it takes the ledger's time to get to at.
func (t *ledgerTime) until(at time.Time) time.Duration { return max(at.Sub(t.running()), 0) }

// deadline returns the boot-clock instant (ns) at which the ledger's time will
// be until (Unix seconds).
func (t *ledgerTime) deadline(until int64) int64 {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.boot + int64(time.Unix(until, 0).Sub(t.base))
}
