// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"

	cebpf "github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"croft/ebpf"
)

// Attach implements [ebpf.Guard]. The order is: who it is, buckets, limits,
// links. A crash after any of them leaves the port closed or in force, and the
// sliver listed, so that a second Attach or a Detach finishes.
func (g *Guard) Attach(ctx context.Context, at ebpf.Port, l ebpf.Limits) error {
	if err := errors.Join(at.Check(), l.Check()); err != nil {
		return fmt.Errorf("attaching guard: %w", err)
	}
	record := guardTenure{Place: uint32(at.Place), Ifindex: uint32(at.IfIndex)}
	if len(at.NetNS) > len(record.Netns) {
		return fmt.Errorf("attaching guard: namespace path of %d bytes, limit %d: %w", len(at.NetNS), len(record.Netns), ebpf.ErrField)
	}
	copy(record.Sliver[:], at.Sliver)
	copy(record.Netns[:], at.NetNS)

	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.ready(ctx); err != nil {
		return err
	}
	if p, ok := g.ports[at.Sliver]; ok && p.record != record {
		if err := g.detach(at.Sliver, p); err != nil {
			return explain("moving guard of "+at.Sliver, err)
		}
	}
	return explain("attaching guard of "+at.Sliver, g.attach(at, l, record))
}

func (g *Guard) attach(at ebpf.Port, l ebpf.Limits, record guardTenure) error {
	if err := g.putState(at, l, record); err != nil {
		return err
	}
	for _, d := range directions {
		if err := g.attachLink(at, d); err != nil {
			return err
		}
	}
	return nil
}

func (g *Guard) putState(at ebpf.Port, l ebpf.Limits, record guardTenure) error {
	p, ok := g.ports[at.Sliver]
	if !ok {
		last, err := g.control(controlTenure)
		if err != nil {
			return err
		}
		p = port{uint32(last + 1), record}
		if err := g.setControl(controlTenure, last+1); err != nil {
			return err
		}
		if err := g.objects.Tenures.Put(p.tenure, record); err != nil {
			return err
		}
		g.ports[at.Sliver] = p
	}
	for _, d := range directions {
		key := guardMeterKey{Tenure: p.tenure, Way: uint32(d)}
		if err := g.objects.Meters.Update(key, fullMeter(l, d), cebpf.UpdateNoExist); err != nil && !errors.Is(err, cebpf.ErrKeyExist) {
			return err
		}
	}
	value := compile(l)
	value.Tenure, value.Class, value.Ifb = p.tenure, at.Class, uint32(at.IFB)
	return g.objects.Limits.Put(uint32(at.IfIndex), value)
}

// attachLink pins a link at the port, unless the one that is pinned does.
func (g *Guard) attachLink(at ebpf.Port, d ebpf.Direction) error {
	pin := g.linkPin(at.Sliver, d)
	switch l, err := link.LoadPinnedLink(pin, nil); {
	case err == nil:
		where, err := attachedTo(l)
		if err := errors.Join(err, l.Close()); err != nil {
			return err
		}
		if where == at.IfIndex {
			return nil
		}
		if err := os.Remove(pin); err != nil { // its veth is gone
			return err
		}
	case !errors.Is(err, os.ErrNotExist):
		return err
	}
	return inNetNS(at.NetNS, func() error {
		kind := cebpf.AttachTCXIngress // of the host end: what comes from the sliver
		if d == ebpf.Ingress {
			kind = cebpf.AttachTCXEgress
		}
		l, err := link.AttachTCX(link.TCXOptions{Interface: at.IfIndex, Program: g.objects.program(d), Attach: kind, Anchor: link.Head()})
		if err != nil {
			return err
		}
		return errors.Join(l.Pin(pin), l.Close())
	})
}

// attachedTo returns the ifindex of a link's device, 0 when the device is gone.
func attachedTo(l link.Link) (int, error) {
	info, err := l.Info()
	if err != nil {
		return 0, err
	}
	if tcx := info.TCX(); tcx != nil {
		return int(tcx.Ifindex), nil
	}
	return 0, nil
}

// Update implements [ebpf.Guard].
func (g *Guard) Update(ctx context.Context, sliver string, l ebpf.Limits) error {
	if err := l.Check(); err != nil {
		return fmt.Errorf("updating guard: %w", err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.ready(ctx); err != nil {
		return err
	}
	p, ok := g.ports[sliver]
	if !ok {
		return fmt.Errorf("updating guard of %s: %w", sliver, ebpf.ErrNotAttached)
	}
	var old guardPortLimits
	if err := g.objects.Limits.Lookup(p.record.Ifindex, &old); err != nil {
		if errors.Is(err, cebpf.ErrKeyNotExist) {
			err = ebpf.ErrNotAttached // a crash came before its first limits
		}
		return explain("updating guard of "+sliver, err)
	}
	if old.Tenure != p.tenure {
		return fmt.Errorf("updating guard of %s: its port is another's now: %w", sliver, ebpf.ErrNotAttached)
	}
	value := compile(l)
	value.Tenure, value.Class, value.Ifb = old.Tenure, old.Class, old.Ifb
	return explain("updating guard of "+sliver, g.objects.Limits.Put(p.record.Ifindex, value))
}

// Detach implements [ebpf.Guard].
func (g *Guard) Detach(ctx context.Context, sliver string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.ready(ctx); err != nil {
		return err
	}
	p, ok := g.ports[sliver]
	if !ok {
		return nil
	}
	return explain("detaching guard of "+sliver, g.detach(sliver, p))
}

// detach closes the port, takes it down, and only then takes the links away.
// The sliver stays listed until all is done.
func (g *Guard) detach(sliver string, p port) error {
	var l guardPortLimits
	err := g.objects.Limits.Lookup(p.record.Ifindex, &l)
	if err == nil && l.Tenure == p.tenure {
		err = g.objects.Limits.Delete(p.record.Ifindex)
	}
	if err != nil && !errors.Is(err, cebpf.ErrKeyNotExist) {
		return err
	}
	for _, d := range directions {
		if err := g.detachLink(sliver, d, p); err != nil {
			return err
		}
	}
	for _, d := range directions {
		err := g.objects.Meters.Delete(guardMeterKey{Tenure: p.tenure, Way: uint32(d)})
		if err != nil && !errors.Is(err, cebpf.ErrKeyNotExist) {
			return err
		}
	}
	// Rows of the live epoch still carry this tenure.
	if p.record.Gone, err = g.control(controlEpoch); err != nil {
		return err
	}
	if err := g.objects.Tenures.Put(p.tenure, p.record); err != nil {
		return err
	}
	delete(g.ports, sliver)
	return nil
}

func (g *Guard) detachLink(sliver string, d ebpf.Direction, p port) error {
	pin := g.linkPin(sliver, d)
	l, err := link.LoadPinnedLink(pin, nil)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer l.Close()
	where, err := attachedTo(l)
	if err != nil {
		return err
	}
	if where != 0 {
		if err := setDown(text(p.record.Netns[:]), where); err != nil {
			return err
		}
	}
	return l.Unpin()
}

// Slivers returns the names of those that are attached, sorted.
func (g *Guard) Slivers() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	names := make([]string, 0, len(g.ports))
	for name := range g.ports {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (g *Guard) ready(ctx context.Context) error {
	if g.objects == nil {
		return ErrClosed
	}
	return ctx.Err()
}

// compile renders l as the kernel reads it.
func compile(l ebpf.Limits) guardPortLimits {
	out := guardPortLimits{Deadline: uint64(max(l.Deadline, 0)), Mac: l.MAC}
	if l.Source4.IsValid() {
		v4 := l.Source4.As4()
		out.Source4 = binary.NativeEndian.Uint32(v4[:]) // as it lies in the packet
	}
	if l.Source6.IsValid() {
		out.Source6, out.Has6 = l.Source6.As16(), 1
	}
	for _, d := range directions {
		m := ebpf.NewMeter(way(l, d))
		w := &out.Ways[d]
		w.Packets.Rate, w.Packets.Full, w.Packets.Fill = m.Packets.Rate, m.Packets.Full, m.Packets.Fill
		w.Bytes.Rate, w.Bytes.Full, w.Bytes.Fill = m.Bytes.Rate, m.Bytes.Full, m.Bytes.Fill
	}
	return out
}

func fullMeter(l ebpf.Limits, d ebpf.Direction) (out guardMeter) {
	m := ebpf.NewMeter(way(l, d))
	out.Packets.Level, out.Bytes.Level = m.Packets.Level, m.Bytes.Level
	return out
}

func way(l ebpf.Limits, d ebpf.Direction) ebpf.Way {
	if d == ebpf.Egress {
		return l.Egress
	}
	return l.Ingress
}

// text reads a name that ends at the first zero byte or fills its field.
func text(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}
