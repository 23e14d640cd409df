// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"croft/ebpf"
	"croft/ebpf/audit"
	"croft/ebpf/audit/store"
	"croft/lease"
	"croft/lease/leasetest"
)

var stepRemote = netip.MustParseAddrPort("198.41.0.4:443")

// busyGuard has a packet of every sliver in each second, and dates rows as the
// kernel's does: by the boot clock, and by the wall clock as it is when they are
// drained.
type busyGuard struct {
	guardModel
	drained *int64 // boot clock, ns
	number  *uint64
}

func (g busyGuard) Drain(_ context.Context, keep func(ebpf.Epoch) error) error {
	g.l.mu.Lock()
	wall, boot := g.l.Wall().UnixNano(), g.l.Boot()
	e := ebpf.Epoch{Series: 7, Number: *g.number + 1, At: wall}
	for sliver, l := range g.l.guards {
		for at := *g.drained; at < min(boot, l.Deadline); at += int64(time.Second) {
			e.Flows = append(e.Flows, ebpf.Flow{Sliver: sliver, Proto: 6, Src: netip.MustParseAddrPort("198.19.0.2:40000"), Dst: stepRemote,
				Packets: 1, Bytes: 40, First: at + wall - boot, Last: at + wall - boot})
			e.Identity.Seen++
			e.Identity.Recorded++
		}
	}
	g.l.mu.Unlock()
	if err := keep(e); err != nil {
		return err
	}
	*g.drained, *g.number = boot, e.Number
	return nil
}

// audited has the record be real, and the guard see packets. What is in the record
// is closed and asked outside of the bubble, in which no compressor can be shared.
func (m *world) audited(dir string) {
	var drained int64
	var number uint64
	var s *store.Store
	done := func() error {
		if s == nil {
			return nil
		}
		return s.Close()
	}
	m.hosts = func(l *life, h *Hosting) {
		err := done()
		if err == nil {
			s, err = store.Open(dir, store.Options{Node: leasetest.Who("node"), Reserve: -1})
		}
		if err != nil {
			m.t.Fatal(err)
		}
		if drained == 0 {
			drained = m.Boot()
		}
		h.Audit, h.Guard = s, busyGuard{guardModel{l}, &drained, &number}
	}
	m.t.Cleanup(func() {
		if err := done(); err != nil {
			m.t.Error(err)
		}
	})
}

// Whoever sets the clock of a running node, or of one that is down, there is no
// packet of which the record does not say whose it was, nor one that would be
// proved without that. The sliver's deadline stays where it was.
func TestASteppedClockLosesNoPacketsSlice(t *testing.T) {
	for _, step := range []time.Duration{time.Hour, -time.Hour, -2 * time.Minute} {
		for _, restart := range []bool{false, true} {
			name := fmt.Sprintf("%s, restart %t", step, restart)
			dir := filepath.Join(t.TempDir(), "audit")
			inBubble(t, func(t *testing.T, m *world) {
				m.audited(dir)
				l, alice := m.boot(), newPerson(t, "alice")
				sliver := lease.SliverName(alice.run(l, "a", 10*time.Minute))
				m.settle()
				deadline := m.guards[sliver].Deadline
				m.pass(3*time.Minute + 2*time.Second)
				if restart {
					l.kill()
				}
				m.step.Store(int64(step))
				if restart {
					m.boot()
				}
				m.settle()
				m.pass(time.Minute)
				if !restart && m.guards[sliver].Deadline != deadline {
					t.Errorf("%s: the deadline went from %d to %d", name, deadline, m.guards[sliver].Deadline)
				}
				m.pass(20*time.Minute + step.Abs())
				m.settle()
				m.idle()
			})
			wantAttributed(t, name, dir)
		}
	}
}

func wantAttributed(t *testing.T, name, dir string) {
	t.Helper()
	s, err := store.Open(dir, store.Options{Node: leasetest.Who("node"), Reserve: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Turn(t.Context(), time.Now(), leasetest.Key("node")); err != nil {
		t.Fatal(err)
	}
	n := 0
	for row, err := range s.Rows(t.Context(), audit.Flows{Until: 1 << 62}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
		f, err := s.Who(t.Context(), audit.Who{Src: netip.AddrPortFrom(netip.MustParseAddr("203.0.113.1"), 0), Dst: stepRemote, At: row.Last, Within: int64(time.Second)})
		if err != nil {
			t.Fatal(err)
		}
		if len(f.Slices) != 1 || !row.Ref.Closed || !slices.ContainsFunc(f.Answers, func(a audit.Answer) bool { return a.Tenure.Sliver == row.Sliver }) {
			all, _ := s.Tenures()
			t.Fatalf("%s: nobody sent row %d, %s at %s (%+v); tenures %+v", name, n, row.Flow, time.Unix(0, row.First), row.Ref, all)
		}
		p, err := s.Prove(row.Ref.Segment, row.Ref.Leaf)
		if err != nil {
			t.Fatal(err)
		}
		if shown, err := p.Verify(); err != nil || len(shown.Tenures) == 0 {
			t.Fatalf("%s: row %d is proved without a tenure: %+v, %v", name, n, shown, err)
		}
	}
	if n < 150 {
		t.Fatalf("%s: only %d rows", name, n)
	}
}

// A renewal after the clock was set back, and before what came until then was
// drained, takes nothing away from who held the ports at the time.
func TestARenewalAfterAStepKeepsWhatWas(t *testing.T) {
	record, err := store.Open(t.TempDir(), store.Options{Node: leasetest.Who("node"), Reserve: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer record.Close()
	begin := time.Unix(1_800_000_000, 0)
	clock := &setClock{wall: begin, boot: time.Hour}
	held := newTenures(record, clock)
	wide := audit.Tenure{Sliver: "s", Slice: "web@x", Place: 1, First: 16384, Last: 16391}
	narrow := wide
	narrow.Last = 16387
	if err := held.holds(wide); err != nil {
		t.Fatal(err)
	}
	clock.pass(30 * time.Minute)
	end := clock.wall
	clock.wall = clock.wall.Add(-time.Hour)
	if err := held.holds(narrow); err != nil {
		t.Fatal(err)
	}
	all, err := record.Tenures()
	if err != nil {
		t.Fatal(err)
	}
	was := func(o audit.Tenure) bool {
		return o.Last == wide.Last && o.From <= begin.UnixNano() && o.Until >= end.UnixNano()
	}
	if !slices.ContainsFunc(all, was) {
		t.Errorf("nobody held port %d from %s to %s: %+v", wide.Last, begin, end, all)
	}
	if i := slices.IndexFunc(all, func(o audit.Tenure) bool { return o.Until == 0 }); i < 0 || all[i].Last != narrow.Last {
		t.Errorf("the sliver does not hold up to %d now: %+v", narrow.Last, all)
	}
}

// setClock is where it is put.
type setClock struct {
	wall time.Time
	boot time.Duration
}

func (c *setClock) Wall() time.Time { return c.wall }
func (c *setClock) Boot() int64     { return int64(c.boot) }
func (c *setClock) pass(d time.Duration) {
	c.wall, c.boot = c.wall.Add(d), c.boot+d
}
