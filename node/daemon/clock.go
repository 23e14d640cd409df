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

// ledgerTime is the time by which terms and fuses are judged: the wall clock at
// the start, or the journal's last instant where that is later, carried on by
// the boot clock. So nobody who sets the wall clock lengthens or cuts a lease
// that was granted.
type ledgerTime struct {
	clock Clock

	mu   sync.Mutex
	base time.Time
	boot int64
}

func newLedgerTime(c Clock, journalLast time.Time) *ledgerTime {
	base := c.Wall()
	if journalLast.After(base) {
		base = journalLast
	}
	return &ledgerTime{clock: c, base: base, boot: c.Boot()}
}

// now returns the ledger's time.
func (t *ledgerTime) now() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.base.Add(time.Duration(t.clock.Boot() - t.boot))
}

// step returns how far the wall clock is ahead of the ledger's time, and whether
// that is too far to grant anything.
func (t *ledgerTime) step() (time.Duration, bool) {
	d := t.clock.Wall().Sub(t.now())
	return d, d > maxStep || d < -maxStep
}

// deadline returns the boot-clock instant (ns) at which the ledger's time will
// be until (Unix seconds).
func (t *ledgerTime) deadline(until int64) int64 {
	left := time.Unix(until, 0).Sub(t.now())
	return t.clock.Boot() + int64(left)
}
