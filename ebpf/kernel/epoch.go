// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	cebpf "github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"croft/ebpf"
)

// batch is how many rows one system call moves.
const batch = 8192

// Drain implements [ebpf.Guard].
//
// An epoch in which nothing was seen goes on: so numbers that are not kept are
// missing, and not empty. The epoch before the live one is idle. It is clean, or a crash or a refusal
// left it: kept says whether it is durable already.
func (g *Guard) Drain(ctx context.Context, keep func(ebpf.Epoch) error) error {
	g.drain.Lock()
	defer g.drain.Unlock()
	if err := g.ready(ctx); err != nil {
		return err
	}
	early, err := g.drainPrevious(keep)
	if err != nil {
		return explain("draining another version's tables", err)
	}
	live, err := g.control(controlEpoch)
	if err != nil {
		return explain("draining", err)
	}
	breach, err := g.keepIdle(live-1, keep)
	if err != nil {
		return explain(fmt.Sprintf("draining epoch %d", live-1), err)
	}
	if quiet, err := g.quiet(live); quiet || err != nil {
		return errors.Join(early, breach, explain("draining", err))
	}
	if err := g.swap(live + 1); err != nil {
		return explain("swapping flow tables", err)
	}
	late, err := g.keepIdle(live, keep)
	if err != nil {
		return explain(fmt.Sprintf("draining epoch %d", live), err)
	}
	return errors.Join(early, breach, late)
}

// drainPrevious hands over what other layouts recorded last, and removes them.
// No program writes there any more.
func (g *Guard) drainPrevious(keep func(ebpf.Epoch) error) (breach, err error) {
	for len(g.previous) > 0 {
		p := g.previous[0]
		live, err := p.control(controlEpoch)
		if err != nil {
			return breach, err
		}
		t := p.tables()
		for _, epoch := range []uint64{live - 1, live} {
			_, late, err := t.keep(epoch, keep)
			if err != nil {
				return breach, err
			}
			breach = errors.Join(breach, late)
		}
		if err := p.remove(); err != nil {
			return breach, err
		}
		g.previous = g.previous[1:]
	}
	return breach, nil
}

// quiet reports whether nothing was seen in the live epoch, and forgets tenures
// that ended in it: no program runs for them any more.
func (g *Guard) quiet(live uint64) (bool, error) {
	if err := g.wait(); err != nil {
		return false, err
	}
	tallies, err := g.tables().tally(uint32(live & 1))
	if err != nil || slices.ContainsFunc(tallies, func(t guardTally) bool { return t.Seen != 0 }) {
		return false, err
	}
	return true, g.forget(live)
}

// swap makes epoch live and returns when no program sees the one before.
func (g *Guard) swap(epoch uint64) error {
	if err := g.setControl(controlEpoch, epoch); err != nil {
		return err
	}
	return g.wait()
}

func (g *Guard) table(side uint32) (*cebpf.Map, error) {
	return tables{flowTables: g.objects.FlowTables}.table(side)
}

// tables are what an epoch is read from: the guard's own, or another layout's.
type tables struct {
	control, flowTables *cebpf.Map
	tally               func(side uint32) ([]guardTally, error)
	eachTenure          func(do func(number uint32, t guardTenure) error) error
}

func (g *Guard) tables() tables {
	return tables{
		control: g.objects.Control, flowTables: g.objects.FlowTables,
		tally: func(side uint32) (all []guardTally, err error) { return all, g.objects.Tallies.Lookup(side, &all) },
		eachTenure: func(do func(number uint32, t guardTenure) error) error {
			return eachTenure(g.objects.Tenures, do)
		},
	}
}

func (t tables) table(side uint32) (*cebpf.Map, error) {
	var id cebpf.MapID
	if err := t.flowTables.Lookup(side, &id); err != nil {
		return nil, err
	}
	return cebpf.NewMapFromID(id)
}

// keep hands an idle epoch to keep unless it is durable, and returns its rows'
// keys. Breach is the epoch's account, which stops nothing.
func (t tables) keep(epoch uint64, keep func(ebpf.Epoch) error) (keys []guardFlowKey, breach, err error) {
	var kept uint64
	if err := t.control.Lookup(controlKept, &kept); err != nil {
		return nil, nil, err
	}
	table, err := t.table(uint32(epoch & 1))
	if err != nil {
		return nil, nil, err
	}
	defer table.Close()
	keys, rows, err := readRows(table)
	if err != nil || kept >= epoch {
		return keys, nil, err
	}
	e, err := t.account(epoch, keys, rows)
	if err != nil {
		return nil, nil, err
	}
	breach = e.Identity.Check()
	if err := keep(e); err != nil {
		return nil, nil, fmt.Errorf("keeping: %w", err)
	}
	return keys, breach, t.control.Put(controlKept, epoch)
}

// keepIdle has an epoch of the guard's own kept, then clears it.
func (g *Guard) keepIdle(epoch uint64, keep func(ebpf.Epoch) error) (breach, err error) {
	keys, breach, err := g.tables().keep(epoch, keep)
	if err != nil {
		return nil, err
	}
	if err := g.clear(epoch, keys); err != nil {
		return nil, fmt.Errorf("clearing: %w", err)
	}
	return breach, nil
}

// clear empties an epoch that is durable, and forgets tenures that ended in it.
func (g *Guard) clear(epoch uint64, keys []guardFlowKey) error {
	table, err := g.table(uint32(epoch & 1))
	if err != nil {
		return err
	}
	defer table.Close()
	for chunk := range slices.Chunk(keys, batch) {
		if _, err := table.BatchDelete(chunk, nil); err != nil {
			return err
		}
	}
	cpus, err := cebpf.PossibleCPU()
	if err != nil {
		return err
	}
	if err := g.objects.Tallies.Put(uint32(epoch&1), make([]guardTally, cpus)); err != nil {
		return err
	}
	return g.forget(epoch)
}

// forget removes tenures that ended in an epoch that is over, or before.
func (g *Guard) forget(epoch uint64) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	var over []uint32
	err := eachTenure(g.objects.Tenures, func(number uint32, t guardTenure) error {
		if t.Gone != 0 && t.Gone <= epoch {
			over = append(over, number)
		}
		return nil
	})
	for _, number := range over {
		err = errors.Join(err, g.objects.Tenures.Delete(number))
	}
	return err
}

// account turns an idle table into an Epoch.
func (t tables) account(epoch uint64, keys []guardFlowKey, rows []guardFlow) (ebpf.Epoch, error) {
	var e ebpf.Epoch
	var series uint64
	if err := t.control.Lookup(controlSeries, &series); err != nil {
		return e, err
	}
	tenures := map[uint32]guardTenure{}
	err := t.eachTenure(func(number uint32, t guardTenure) error {
		tenures[number] = t
		return nil
	})
	if err != nil {
		return e, err
	}
	tallies, err := t.tally(uint32(epoch & 1))
	if err != nil {
		return e, err
	}
	now, boot, err := clocks()
	if err != nil {
		return e, err
	}
	e = ebpf.Epoch{Series: series, Number: epoch, At: now, Flows: make([]ebpf.Flow, len(rows))}
	for i, row := range rows {
		e.Flows[i] = flow(keys[i], row, tenures[keys[i].Tenure], now-boot)
		e.Identity.Recorded += row.Packets
	}
	slices.SortFunc(e.Flows, ebpf.Flow.Compare)
	for _, t := range tallies {
		e.Identity.Seen += t.Seen
		e.Identity.Unrecorded += t.Unrecorded
		e.Identity.NoSliver += t.NoSliver
		for r := range ebpf.NumReasons {
			e.Identity.Dropped[r] += t.Dropped[r]
		}
	}
	return e, nil
}

func flow(k guardFlowKey, v guardFlow, t guardTenure, sinceBoot int64) ebpf.Flow {
	f := ebpf.Flow{
		Place: int(t.Place), Sliver: text(t.Sliver[:]), Direction: ebpf.Direction(k.Way), Proto: k.Proto,
		Packets: v.Packets, Bytes: v.Bytes, TCPFlags: uint8(v.Flags),
		First: int64(v.First) + sinceBoot, Last: int64(v.Last) + sinceBoot,
	}
	f.Src, f.Dst = address(k.Family, k.Src, k.Sport), address(k.Family, k.Dst, k.Dport)
	return f
}

// address reads a port in network order; the key's bytes are as in the packet.
func address(family uint8, a [16]byte, port uint16) netip.AddrPort {
	var wire [2]byte
	binary.NativeEndian.PutUint16(wire[:], port)
	n := binary.BigEndian.Uint16(wire[:])
	switch family {
	case 4:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(a[:4])), n)
	case 6:
		return netip.AddrPortFrom(netip.AddrFrom16(a), n)
	}
	return netip.AddrPortFrom(netip.Addr{}, n) // a channel, or 0
}

// clocks returns the wall and the boot clock at one moment, in ns.
func clocks() (wall, boot int64, err error) {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return 0, 0, err
	}
	return time.Now().UnixNano(), ts.Nano(), nil
}

// readRows reads an idle table: nobody writes, so nothing is missed or repeated.
func readRows(table *cebpf.Map) (keys []guardFlowKey, rows []guardFlow, err error) {
	var cursor cebpf.MapBatchCursor
	size := min(batch, int(table.MaxEntries()))
	k, v := make([]guardFlowKey, size), make([]guardFlow, size)
	for {
		n, err := table.BatchLookup(&cursor, k, v, nil)
		keys, rows = append(keys, k[:n]...), append(rows, v[:n]...)
		if errors.Is(err, cebpf.ErrKeyNotExist) {
			return keys, rows, nil
		}
		if err != nil {
			return nil, nil, err
		}
	}
}

// eachTenure calls do for every tenure in no order. do must not write the map.
func eachTenure(m *cebpf.Map, do func(number uint32, t guardTenure) error) error {
	var number uint32
	var t guardTenure
	all := m.Iterate()
	for all.Next(&number, &t) {
		if err := do(number, t); err != nil {
			return err
		}
	}
	return all.Err()
}
