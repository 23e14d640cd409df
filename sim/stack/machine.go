// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"croft/ebpf"
	"croft/ebpf/audit"
	"croft/ebpf/model"
	slivernet "croft/ebpf/net"
	"croft/lease"
	"croft/node/daemon"
)

// machine is what a node's daemons come and go on: its clocks, its disk, its kernel
// and the slivers that run, with or without a daemon.
type machine struct {
	begun  time.Time
	skew   atomic.Int64 // of the wall clock
	kernel *model.Kernel

	mu      sync.Mutex // guards what follows
	disk    *disk
	slivers map[string]*sliver
	watch   map[*watcher]bool
	tenures audit.Tenures
	doors   map[string]*door // by sliver

	deathless bool // a broken sandbox, to see the checks notice: it ends nothing
}

func newMachine() *machine {
	m := &machine{begun: time.Now(), disk: newDisk(), slivers: map[string]*sliver{}, watch: map[*watcher]bool{}, doors: map[string]*door{}}
	m.kernel = model.NewKernel(m.Boot, func() int64 { return m.Wall().UnixNano() }, 1)
	return m
}

// Wall implements [daemon.Clock], as does Boot.
func (m *machine) Wall() time.Time { return time.Now().Add(time.Duration(m.skew.Load())) }

// Boot began an hour before the run.
func (m *machine) Boot() int64 { return int64(time.Since(m.begun) + time.Hour) }

// life is a machine as one daemon has it, until it is killed.
type life struct {
	*machine
	guard *model.Guard
	dead  atomic.Bool
}

func (l *life) does() error {
	if l.dead.Load() {
		return errDead
	}
	return nil
}

// hosting is what a daemon gets to run slivers with.
func (m *machine) hosting(offers bool) (*life, *daemon.Hosting, error) {
	if !offers {
		return &life{machine: m}, nil, nil
	}
	guard, err := model.Open(m.kernel, model.Config{Resolvers: []netip.Addr{slivernet.Resolver}})
	if err != nil {
		return nil, nil, err
	}
	l := &life{machine: m, guard: guard}
	return l, &daemon.Hosting{Network: plumbing{l}, Guard: kernelGuard{guard, l}, Runtime: runtime{l}, Blobs: images{}, Audit: records{l}, Doors: doors{l}}, nil
}

// kernelGuard is the guard's model, out of reach of the dead.
type kernelGuard struct {
	*model.Guard
	l *life
}

func (g kernelGuard) Attach(ctx context.Context, at ebpf.Port, limits ebpf.Limits) error {
	if err := g.l.does(); err != nil {
		return err
	}
	return g.Guard.Attach(ctx, at, limits)
}

func (g kernelGuard) Detach(ctx context.Context, sliver string) error {
	if err := g.l.does(); err != nil {
		return err
	}
	return g.Guard.Detach(ctx, sliver)
}

// plumbing stands for package ebpf/net: slivers get their addresses, and no packets.
type plumbing struct{ l *life }

func (n plumbing) Add(_ context.Context, s slivernet.Sliver) (slivernet.Attachment, error) {
	if err := n.l.does(); err != nil {
		return slivernet.Attachment{}, err
	}
	return slivernet.Attachment{NetNS: "/run/netns/" + s.Name, Guard: ebpf.Port{Sliver: s.Name, Place: s.Place, IfIndex: s.Place + 1},
		Addresses:   ebpf.Addresses{Source4: netip.AddrFrom4([4]byte{198, 19, byte(s.Place >> 8), byte(s.Place)})},
		SourcePorts: n.SourcePorts(s)}, nil
}

func (plumbing) SourcePorts(s slivernet.Sliver) [2]uint16 {
	first := 16384 + uint16(s.Place)*256
	return [2]uint16{first, first + 255}
}

func (n plumbing) Up(context.Context, string) error     { return n.l.does() }
func (n plumbing) Remove(context.Context, string) error { return n.l.does() }

func (n plumbing) Queues(context.Context, string) (q slivernet.Queues, err error) {
	return q, n.l.does()
}
func (n plumbing) Counters(context.Context) (c []slivernet.Counters, err error) { return c, n.l.does() }
func (n plumbing) Slivers(context.Context) (names []string, err error)          { return names, n.l.does() }
func (plumbing) Close() error                                                   { return nil }

// images has every image: sending them is not played.
type images struct{}

func (images) Has(lease.Digest) (int64, bool)           { return imageSize, true }
func (images) Begin(lease.Digest, int64) (int64, error) { return imageSize, nil }
func (images) Keep(lease.Digest) (bool, error)          { return true, nil }
func (images) Private(lease.Digest) bool                { return false }
func (images) Append(_ lease.Digest, at int64, b []byte) (int64, error) {
	return at + int64(len(b)), nil
}
func (images) Finish(context.Context, lease.Digest) error  { return nil }
func (images) GC(func(lease.Digest) bool, time.Time) error { return nil }

const imageSize = 1 << 20

// records is the record of flows: as there are no packets, it has tenures alone.
type records struct{ l *life }

func (r records) Append(ebpf.Epoch) error { return r.l.does() }

func (r records) AppendTenure(t audit.Tenure) error {
	if err := errors.Join(r.l.does(), t.Check()); err != nil {
		return fmt.Errorf("recording a tenure: %w", err)
	}
	r.l.mu.Lock()
	defer r.l.mu.Unlock()
	r.l.tenures = r.l.tenures.Put(t)
	return nil
}

func (r records) Tenures() (audit.Tenures, error) {
	r.l.mu.Lock()
	defer r.l.mu.Unlock()
	return slices.Clone(r.l.tenures), nil
}

func (records) Flows(context.Context, audit.Flows) (p audit.Page, err error) { return p, nil }
func (records) Who(context.Context, audit.Who) (f audit.Finding, err error)  { return f, nil }
func (records) Rows(context.Context, audit.Flows) iter.Seq2[audit.Row, error] {
	return func(func(audit.Row, error) bool) {}
}
