// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"croft/ebpf/audit"
)

// tenures records which sliver holds which source ports, by the wall clock, as
// rows are dated: a row counts for its sliver's slice while a tenure of it is on.
//
// A step of that clock comes between the two: what is drained from then on is
// dated by the clock as it is now, and a tenure that began by the clock as it was
// may lie behind it. So each that is on begins once more by the new clock, as
// early as what was not drained yet. It is safe for concurrent use.
type tenures struct {
	store AuditStore
	clock Clock

	mu     sync.Mutex
	ahead  int64 // of the wall clock before the boot clock, ns, as rows were dated last
	before int64 // boot clock, ns: what came earlier was drained under it
	newest int64 // boot clock, ns, of the newest drain
	late   bool  // a step is not recorded to its end
}

// clockStep is what is no slewing between two drains: 500 ppm, which is the most,
// are 2.5 ms in five seconds.
const clockStep = 100 * time.Millisecond

func newTenures(store AuditStore, clock Clock) *tenures {
	return &tenures{store: store, clock: clock, ahead: clock.Wall().UnixNano() - clock.Boot()}
}

// holds records which source and public ports a sliver has: once, and anew, with the
// end of what it had until then, when a renewal has changed them.
func (t *tenures) holds(of audit.Tenure) error {
	if err := t.follow(); err != nil { // else an end by the new clock may lie before its begin
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	on, err := t.on(of.Sliver)
	if err != nil {
		return err
	}
	if err := t.begin(of, on); err != nil {
		return err
	}
	return t.end(slices.DeleteFunc(on, func(o audit.Tenure) bool { return samePorts(o, of) }))
}

// opens records which ports a sliver is about to have, beside those that it holds:
// what leaves by a port before [tenures.holds] is called then, or if it never is,
// has a name all the same.
func (t *tenures) opens(of audit.Tenure) error {
	if err := t.follow(); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	on, err := t.on(of.Sliver)
	if err != nil {
		return err
	}
	return t.begin(of, on)
}

// begin records a tenure, unless one of these ports is on.
func (t *tenures) begin(of audit.Tenure, on audit.Tenures) error {
	now := t.clock.Wall().UnixNano()
	same := func(o audit.Tenure) bool { return samePorts(o, of) }
	// One that is still to begin is of a clock that was set back since.
	if slices.ContainsFunc(on, func(o audit.Tenure) bool { return same(o) && o.From <= now }) {
		return nil
	}
	of.From = now
	if slices.ContainsFunc(on, same) { // what a daemon before this one did not drain
		of.From = max(1, now-t.clock.Boot())
	}
	return t.store.AppendTenure(of)
}

func samePorts(a, b audit.Tenure) bool {
	return a.First == b.First && a.Last == b.Last && slices.Equal(a.Ports, b.Ports)
}

// end records that these are over.
func (t *tenures) end(on audit.Tenures) error {
	for _, o := range on {
		o.Until = max(o.From, t.clock.Wall().UnixNano())
		if err := t.store.AppendTenure(o); err != nil {
			return err
		}
	}
	return nil
}

// ended records that a sliver no longer holds them, if it ever did.
func (t *tenures) ended(sliver string) error {
	err := t.follow()
	t.mu.Lock()
	defer t.mu.Unlock()
	on, lookErr := t.on(sliver)
	return errors.Join(err, lookErr, t.end(on))
}

// follow has the tenures that are on begin once more if the wall clock was set.
// What is done twice, because it was not done to the end, comes to the same.
func (t *tenures) follow() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	boot := t.clock.Boot()
	ahead := t.clock.Wall().UnixNano() - boot
	step := ahead - t.ahead
	if step >= -int64(clockStep) && step <= int64(clockStep) {
		t.ahead = ahead
		return nil
	}
	on, err := t.on("")
	for _, o := range on {
		again := o
		again.From = max(1, t.before+ahead)
		err = errors.Join(err, t.store.AppendTenure(again))
		if o.Until = max(o.From, boot+t.ahead); o.From != again.From {
			err = errors.Join(err, t.store.AppendTenure(o))
		}
	}
	if t.late = err != nil; t.late {
		return fmt.Errorf("recording who holds the source ports since the clock was set by %s: %w", time.Duration(step).Round(time.Second), err)
	}
	t.ahead = ahead
	return nil
}

// drained notes that the kernel's table was emptied, which took what had come in
// since the drain before.
func (t *tenures) drained(began int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.late {
		t.before, t.newest = t.newest, began
	}
}

// on returns the tenures of a sliver, or of all, that have no end. There may be two
// of one sliver where a crash came between the begin of one and the end of the other.
func (t *tenures) on(sliver string) (audit.Tenures, error) {
	all, err := t.store.Tenures()
	return slices.DeleteFunc(all, func(o audit.Tenure) bool { return o.Until != 0 || sliver != "" && o.Sliver != sliver }), err
}

// latest is a time that no recorded row is behind, also after the wall clock was
// set back.
func (d *Daemon) latest() time.Time {
	wall, own := d.deps.Clock.Wall(), d.time.now()
	if own.Before(wall) {
		return wall
	}
	return own
}
