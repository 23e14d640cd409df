// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/bits"

	cebpf "github.com/cilium/ebpf"

	"croft/ebpf"
)

// Bounds of the memory of known flows (bpf/known.h).
const (
	pageFlows = 31 * 8 // that the sliver opened, in a page
	minPages  = 4
	maxPages  = 512
)

// putState makes what a port needs before its link, limits last: without them
// the programs drop everything.
func (g *Guard) putState(at ebpf.Port, l ebpf.Limits, record guardTenure) error {
	p, err := g.putTenure(at.Sliver, record)
	if err != nil {
		return err
	}
	now, err := g.now()
	if err != nil {
		return err
	}
	for _, d := range directions {
		if err := g.fault("meter " + d.String()); err != nil {
			return err
		}
		if err := g.putMeter(p.tenure, d, fullMeter(l, d, now)); err != nil {
			return err
		}
	}
	value, err := g.compile(p.tenure, l)
	if err != nil {
		return err
	}
	value.Class, value.Ifb = at.Class, uint32(at.IFB)
	var old guardPortLimits
	if err := g.objects.Limits.Lookup(uint32(at.IfIndex), &old); err == nil && old.Tenure == p.tenure {
		value.Pages = max(value.Pages, old.Pages)
	}
	return g.putLimits(uint32(at.IfIndex), value)
}

// putTenure lists a sliver, unless it is.
func (g *Guard) putTenure(sliver string, record guardTenure) (port, error) {
	if p, ok := g.ports[sliver]; ok {
		return p, nil
	}
	last, err := g.control(controlTenure)
	if err != nil {
		return port{}, err
	}
	p := port{uint32(last + 1), record}
	if err := g.fault("tenure"); err != nil {
		return port{}, err
	}
	if err := g.setControl(controlTenure, last+1); err != nil {
		return port{}, err
	}
	if err := g.objects.Tenures.Put(p.tenure, record); err != nil {
		return port{}, err
	}
	g.ports[sliver] = p
	return p, nil
}

// putMeter makes a meter, unless there is one: it keeps what it holds.
func (g *Guard) putMeter(tenure uint32, d ebpf.Direction, m guardMeter) error {
	err := g.objects.Meters.Update(guardMeterKey{Tenure: tenure, Way: uint32(d)}, m, cebpf.UpdateNoExist)
	if errors.Is(err, cebpf.ErrKeyExist) {
		return nil
	}
	return err
}

// putLimits puts limits in force, after the memory that they need.
func (g *Guard) putLimits(ifindex uint32, value guardPortLimits) error {
	if err := g.fault("pages"); err != nil {
		return err
	}
	if err := g.putPages(value.Tenure, value.Pages); err != nil {
		return err
	}
	if err := g.fault("fan"); err != nil {
		return err
	}
	if value.FanOut > 0 {
		err := g.objects.Fans.Update(value.Tenure, guardFan{}, cebpf.UpdateNoExist)
		if err != nil && !errors.Is(err, cebpf.ErrKeyExist) {
			return err
		}
	}
	if err := g.fault("limits"); err != nil {
		return err
	}
	return g.objects.Limits.Put(ifindex, value)
}

// putPages makes the pages of a sliver's known flows that are not there. Their
// number is a power of two, by which a flow finds its page: when it doubles,
// page n is followed by n + half, which knows what that one knew.
func (g *Guard) putPages(tenure, pages uint32) error {
	for n := range pages {
		key := guardPageKey{Tenure: tenure, Page: n}
		page := new(guardPage)
		err := g.objects.Pages.Lookup(key, page)
		if err == nil {
			continue
		}
		if !errors.Is(err, cebpf.ErrKeyNotExist) {
			return err
		}
		if n > 0 {
			half := uint32(1) << (bits.Len32(n) - 1)
			if err := g.objects.Pages.Lookup(guardPageKey{Tenure: tenure, Page: n - half}, page); err != nil {
				return err
			}
		}
		if err := g.objects.Pages.Put(key, page); err != nil {
			return err
		}
	}
	return nil
}

// dropState forgets what putState made, but the tenure.
func (g *Guard) dropState(p port) error {
	var errs []error
	gone := func(err error) {
		if !errors.Is(err, cebpf.ErrKeyNotExist) {
			errs = append(errs, err)
		}
	}
	for _, d := range directions {
		gone(g.objects.Meters.Delete(guardMeterKey{Tenure: p.tenure, Way: uint32(d)}))
	}
	gone(g.objects.Fans.Delete(p.tenure))
	for n := uint32(0); n < maxPages; n++ {
		if err := g.objects.Pages.Delete(guardPageKey{Tenure: p.tenure, Page: n}); err != nil {
			gone(err)
			break
		}
	}
	return errors.Join(errs...)
}

// compile renders l as the kernel reads it.
func (g *Guard) compile(tenure uint32, l ebpf.Limits) (out guardPortLimits, err error) {
	out = guardPortLimits{Tenure: tenure, Deadline: uint64(max(l.Deadline, 0)), Mac: l.MAC}
	if l.Source4.IsValid() {
		v4 := l.Source4.As4()
		out.Source4 = binary.NativeEndian.Uint32(v4[:]) // as it lies in the packet
	}
	if l.Source6.IsValid() {
		out.Source6, out.Has6 = l.Source6.As16(), 1
	}
	for _, d := range directions {
		m := ebpf.NewMeter(l.Way(d))
		out.Ways[d].Packets, out.Ways[d].Bytes = bucketLimit(m.Packets), bucketLimit(m.Bytes)
	}
	out.Flows = bucketLimit(ebpf.FlowsBucket(l))
	out.FanOut = uint32(l.FanOut)
	if out.Rows = uint32(l.Rows); l.Rows == 0 {
		out.Rows = ebpf.DefaultRows
	}
	out.Pages = pagesFor(l)

	// Days are counted from the first that its meter knows.
	var m guardMeter
	if err := g.objects.Meters.Lookup(guardMeterKey{Tenure: tenure, Way: uint32(ebpf.Egress)}, &m); err != nil {
		return out, err
	}
	day := ebpf.Allowance{Bytes: l.Daily, From: m.Purse.Day.From, Deadline: l.Deadline}
	fillDay(&out, day)
	return out, nil
}

// fillDay renders a day's allowance: of whole days, and of the last one.
func fillDay(out *guardPortLimits, a ebpf.Allowance) {
	out.Day.Bytes, out.Day.Mark = a.Bytes, ebpf.Mark(a.Bytes)
	last := a
	last.Roll(a.Deadline)
	out.Day.LastFrom, out.Day.LastEnd = last.From, a.Deadline
	out.Day.LastBytes, _ = last.Today()
	out.Day.LastMark = ebpf.Mark(out.Day.LastBytes)
}

// pagesFor is the memory for twice the flows that the lease has live.
func pagesFor(l ebpf.Limits) uint32 {
	want := min(max(2*l.FlowsLive/pageFlows, minPages), maxPages)
	return 1 << bits.Len64(want-1)
}

func fullMeter(l ebpf.Limits, d ebpf.Direction, now int64) (out guardMeter) {
	m := ebpf.MeterOf(l, d, now)
	out.Purse.Packets, out.Purse.Bytes, out.Purse.Flows = bucketState(m.Packets), bucketState(m.Bytes), bucketState(m.Flows)
	out.Purse.Day.From = ebpf.NewAllowance(l, now).From
	return out
}

func bucketLimit(b ebpf.Bucket) guardBucketLimit {
	return guardBucketLimit{Rate: b.Rate, Full: b.Full, Fill: b.Fill, Keep: b.Keep}
}

func bucketState(b ebpf.Bucket) guardBucket {
	return guardBucket{Level: b.Level, Kept: b.Kept, Last: b.Last}
}

// text reads a name that ends at the first zero byte or fills its field.
func text(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}
