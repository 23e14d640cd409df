// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"

	cebpf "github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"croft/ebpf"
)

// previous are the maps of another layout. Its slivers are carried over when the
// guard is opened; its last two epochs are handed over by the next drain, under
// its own series, and then it is removed.
type previous struct {
	dir    string
	maps   map[string]*cebpf.Map
	values map[string]*translation
}

// Those that a layout must have for its slivers and rows to be read.
var previousMaps = []string{guardMapControl, guardMapFlowTables, guardMapLimits, guardMapMeters, guardMapTallies, guardMapTenures}

// openPrevious returns nil where a removal was cut short: what mattered is kept
// by then. Layouts whose names or rows cannot be read are ErrIncompatible.
func openPrevious(dir string, spec *cebpf.CollectionSpec) (_ *previous, err error) {
	if _, err := os.Stat(filepath.Join(dir, guardMapTenures)); errors.Is(err, os.ErrNotExist) {
		return nil, removeMaps(dir)
	}
	p := &previous{dir: dir, maps: map[string]*cebpf.Map{}, values: map[string]*translation{}}
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	for _, name := range previousMaps {
		if p.maps[name], err = cebpf.LoadPinnedMap(filepath.Join(dir, name), nil); err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrIncompatible, name, err)
		}
	}
	for _, name := range []string{guardMapLimits, guardMapMeters, guardMapTallies, guardMapTenures} {
		if p.values[name], err = translate(p.maps[name], spec.Maps[name].Value); err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrIncompatible, name, err)
		}
	}
	return p, nil
}

// translate asks the kernel what m's values are made of.
func translate(m *cebpf.Map, to btf.Type) (*translation, error) {
	h, err := m.Handle()
	if err != nil {
		return nil, err
	}
	defer h.Close()
	types, err := h.Spec(nil)
	if err != nil {
		return nil, err
	}
	from, err := types.AnyTypeByName(to.TypeName())
	if err != nil {
		return nil, err
	}
	tr, err := newTranslation(from, to)
	if err == nil && tr.from != m.ValueSize() {
		err = fmt.Errorf("values of %d bytes by the kernel's types, %d by the map", tr.from, m.ValueSize())
	}
	return tr, err
}

// read translates a value of this layout into out, a value of the guard's own.
func (p *previous) read(name string, value []byte, out any) error {
	_, err := binary.Decode(p.values[name].value(value), binary.NativeEndian, out)
	return err
}

func (p *previous) control(word uint32) (v uint64, err error) {
	return v, p.maps[guardMapControl].Lookup(word, &v)
}

// each calls do for every tenure in no order, with its bytes as they lie.
func (p *previous) each(do func(number uint32, t guardTenure, raw []byte) error) error {
	var number uint32
	var raw []byte
	all := p.maps[guardMapTenures].Iterate()
	for all.Next(&number, &raw) {
		var t guardTenure
		if err := p.read(guardMapTenures, raw, &t); err != nil {
			return err
		}
		if err := do(number, t, raw); err != nil {
			return err
		}
	}
	return all.Err()
}

// end marks a tenure as over, so that nobody carries it again; its rows keep its name.
func (p *previous) end(number uint32, raw []byte) error {
	live, err := p.control(controlEpoch)
	if err != nil {
		return err
	}
	var gone guardTenure
	at := len(raw) - binary.Size(gone.Gone) // the last field since the first release
	binary.NativeEndian.PutUint64(raw[at:], live)
	if err := p.read(guardMapTenures, raw, &gone); err != nil || gone.Gone != live {
		return fmt.Errorf("%w: a tenure's end is not its last field: %w", ErrIncompatible, errors.Join(err))
	}
	return p.maps[guardMapTenures].Put(number, raw)
}

// tables are what drain reads.
func (p *previous) tables() tables {
	return tables{
		control: p.maps[guardMapControl], flowTables: p.maps[guardMapFlowTables],
		tally: func(side uint32) ([]guardTally, error) {
			cpus, err := cebpf.PossibleCPU()
			if err != nil {
				return nil, err
			}
			raw, out := make([][]byte, cpus), make([]guardTally, cpus)
			if err := p.maps[guardMapTallies].Lookup(side, raw); err != nil {
				return nil, err
			}
			for i := range raw {
				if err := p.read(guardMapTallies, raw[i], &out[i]); err != nil {
					return nil, err
				}
			}
			return out, nil
		},
		eachTenure: func(do func(number uint32, t guardTenure) error) error {
			return p.each(func(number uint32, t guardTenure, _ []byte) error { return do(number, t) })
		},
	}
}

// remove unpins the layout, names first: without them nobody reads the rest.
func (p *previous) remove() error {
	p.close()
	return removeMaps(p.dir)
}

func (p *previous) close() {
	for _, m := range p.maps {
		m.Close()
	}
}

// removeMaps removes the pins of maps in dir, and dir if it is one layout's.
func removeMaps(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(dir, guardMapTenures)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	own := true
	for _, e := range entries {
		if e.IsDir() { // the node's own directory, in which the first release pinned
			own = false
			continue
		}
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if own {
		return os.Remove(dir)
	}
	return nil
}

// takeOver carries the slivers of another layout to this one, one after the
// other and one direction after the other:
//
//	new state with empty buckets -> program replaced -> what the old meter had left
//
// Between the last two, some milliseconds, the sliver's packets are dropped:
// never do both programs have allowances to give. After a crash in between they
// are dropped until the next daemon goes on from there.
func (g *Guard) takeOver(p *previous) error {
	type old struct {
		number uint32
		t      guardTenure
		raw    []byte
	}
	var slivers []old
	err := p.each(func(number uint32, t guardTenure, raw []byte) error {
		if t.Gone == 0 {
			slivers = append(slivers, old{number, t, append([]byte(nil), raw...)})
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, s := range slivers {
		name := text(s.t.Sliver[:])
		if err := g.takeOverSliver(p, name, s.number, s.t); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := g.fault("end"); err != nil {
			return err
		}
		if err := p.end(s.number, s.raw); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func (g *Guard) takeOverSliver(p *previous, name string, number uint32, record guardTenure) error {
	to, err := g.putTenure(name, record)
	if err != nil {
		return err
	}
	limits, err := p.limits(number, record.Ifindex, to.tenure)
	if errors.Is(err, cebpf.ErrKeyNotExist) {
		return nil // half attached: there is nothing to carry, the next Attach begins anew
	}
	if err != nil {
		return err
	}
	for _, d := range directions {
		var empty guardMeter
		for _, b := range []*guardBucket{&empty.Purse.Packets, &empty.Purse.Bytes, &empty.Purse.Flows} {
			b.Last = math.MaxUint64 // never fills
		}
		if err := g.putMeter(to.tenure, d, empty); err != nil {
			return err
		}
	}
	if err := g.putLimits(record.Ifindex, limits); err != nil {
		return err
	}
	for _, d := range directions {
		if err := g.fault("renew " + d.String()); err != nil {
			return err
		}
		if err := g.renew(name, record, d); err != nil {
			return err
		}
		if err := g.fault("carry " + d.String()); err != nil {
			return err
		}
		m, err := p.meter(number, d)
		if errors.Is(err, cebpf.ErrKeyNotExist) {
			continue // carried before a crash
		}
		if err != nil {
			return err
		}
		if err := g.carry(to, d, m); err != nil {
			return err
		}
		if err := g.fault("carried " + d.String()); err != nil {
			return err
		}
		if err := p.maps[guardMapMeters].Delete(guardMeterKey{Tenure: number, Way: uint32(d)}); err != nil {
			return err
		}
	}
	return nil
}

// limits returns a port's, for a tenure of the guard's own.
func (p *previous) limits(number, ifindex, tenure uint32) (out guardPortLimits, err error) {
	var raw []byte
	if raw, err = p.maps[guardMapLimits].LookupBytes(ifindex); err != nil {
		return out, err
	}
	if raw == nil {
		return out, cebpf.ErrKeyNotExist
	}
	if err := p.read(guardMapLimits, raw, &out); err != nil {
		return out, err
	}
	if out.Tenure != number {
		return out, cebpf.ErrKeyNotExist
	}
	out.Tenure = tenure
	out.Pages = max(out.Pages, minPages)
	if out.Rows == 0 {
		out.Rows = ebpf.DefaultRows
	}
	for d := range out.Ways { // it may have kept nothing
		w := &out.Ways[d]
		m := ebpf.NewMeter(ebpf.Way{Rate: w.Bytes.Rate, Burst: w.Bytes.Full / ebpf.ByteUnits, Packets: w.Packets.Rate, PacketBurst: w.Packets.Full / ebpf.PacketUnits})
		w.Packets.Keep, w.Bytes.Keep = m.Packets.Keep, m.Bytes.Keep
	}
	return out, nil
}

// meter returns what a meter has left, when its program runs no more.
func (p *previous) meter(number uint32, d ebpf.Direction) (m guardMeter, err error) {
	raw, err := p.maps[guardMapMeters].LookupBytes(guardMeterKey{Tenure: number, Way: uint32(d)})
	if err != nil {
		return m, err
	}
	if raw == nil {
		return m, cebpf.ErrKeyNotExist
	}
	if err := p.read(guardMapMeters, raw, &m); err != nil {
		return m, err
	}
	m.Lock.Val, m.Carried = 0, 0
	if m.Purse.Day.From == 0 { // it knew no days
		_, m.Purse.Day.From, err = clocks()
	}
	return m, err
}
