// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"croft/ebpf"
	"croft/ebpf/audit/store"
	"croft/ebpf/kernel"
	"croft/lease"
)

// recordNet is the cable of the record lines.
const recordNet = "198.18.249.0/30"

// A recorder is a guard whose rows go to a store, as a daemon has them go.
type recorder struct {
	cable cable
	guard *kernel.Guard
	store *store.Store
	dir   string
	out   *spout
	undo  []func() error
}

// A haul is what one window brought.
type haul struct {
	sent uint64
	rate float64 // packets/s sent
	rows uint64
	took time.Duration // of processor, by the drains
	lost string        // what of it has no row
}

// recorded looks for the highest rates of new flows, and of packets, at which every
// packet that was sent is in a row on the disk.
func (b *bench) recorded(ctx context.Context) (err error) {
	r := new(recorder)
	defer func() { err = errors.Join(err, r.close()) }()
	if err := r.open(ctx); err != nil {
		return err
	}
	for _, c := range []struct {
		what, unit string
		flows      uint32 // that are told apart; 0: every packet begins one
	}{{"record: new flows of one packet, none lost", "thousand/s", 0}, {"record: packets of 1,000 flows, none lost", "kpps", 1000}} {
		var rates, cost sample
		most := 0.0 // no bound
		for tries := 0; len(rates) < b.rounds(7, 3)+1; {
			h, err := r.window(ctx, c.flows, most, time.Duration(b.rounds(3000, 1500))*time.Millisecond)
			if err != nil {
				return fmt.Errorf("%s: %w", c.what, err)
			}
			if h.lost != "" {
				if tries++; tries > 12 {
					return fmt.Errorf("%s: at %.0f/s still %s", c.what, h.rate, h.lost)
				}
				most, rates, cost = 0.8*h.rate, nil, nil
				continue
			}
			rates, cost = append(rates, h.rate/1000), append(cost, float64(h.took)/float64(time.Microsecond)/float64(max(h.rows, 1)))
		}
		note := "as fast as one thread sends"
		if most > 0 {
			note = fmt.Sprintf("held at %.0f/s: above it a sliver's quota of rows was full before its table was emptied", most)
		}
		b.add(plain(c.what, c.unit, rates[1:], nil, note+"; what was sent and what is in rows on the disk is the same number in each round"))
		if c.flows == 0 {
			b.add(plain("record: processor of a drain", "µs/row", cost[1:], nil, "read from the kernel, sorted, written durably, cleared"))
		}
	}
	return nil
}

func (r *recorder) open(ctx context.Context) (err error) {
	if r.cable, err = newCable(recordNet); err != nil {
		return err
	}
	r.undo = append(r.undo, func() error { r.cable.close(); return nil })
	tag := randomTag()
	if r.guard, err = kernel.Open(kernel.Config{Tag: tag, Opened: []netip.Prefix{sinks}}); err != nil {
		return err
	}
	r.undo = append(r.undo, func() error { return errors.Join(r.guard.Close(), kernel.Destroy("", tag)) })
	var set lease.RSet
	set[lease.EgressRate], set[lease.IngressRate] = ebpf.MaxRate, ebpf.MaxRate
	set[lease.EgressPackets], set[lease.IngressPackets] = ebpf.MaxPacketRate, ebpf.MaxPacketRate
	limits := ebpf.Compile(&lease.Lease{RSet: set}, ebpf.Addresses{Source4: r.cable.addrA, MAC: r.cable.macA},
		ebpf.Conditions{Deadline: bootClock() + int64(time.Hour), Rows: ebpf.MaxFlows / 4})
	if err := r.guard.Attach(ctx, ebpf.Port{Sliver: "bench", NetNS: r.cable.b.path(), IfIndex: r.cable.indexB}, limits); err != nil {
		return err
	}
	if r.dir, err = os.MkdirTemp("/var/tmp", "croft-bench-record-"); err != nil { // a real disk, which /tmp may not be
		return err
	}
	r.undo = append(r.undo, func() error { return os.RemoveAll(r.dir) })
	if r.store, err = store.Open(r.dir, store.Options{Node: keyOf("node").Principal(), Budget: 8 << 30, Reserve: -1}); err != nil {
		return err
	}
	r.undo = append(r.undo, r.store.Close)
	own, err1 := r.cable.a.links.LinkByName(ends)
	next, err2 := r.cable.b.links.LinkByName(ends)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	if r.out, err = newSpout(r.cable.a, own.Attrs().Index, own.Attrs().HardwareAddr, next.Attrs().HardwareAddr); err != nil {
		return err
	}
	r.undo = append(r.undo, func() error { r.out.close(); return nil })
	return r.guard.Drain(ctx, func(ebpf.Epoch) error { return nil }) // what the devices said when they came up
}

func (r *recorder) close() error {
	var errs []error
	for i := len(r.undo) - 1; i >= 0; i-- {
		errs = append(errs, r.undo[i]())
	}
	return errors.Join(errs...)
}

// window sends for a while, at most so many packets/s, while the table is emptied
// twice a second, and empties it once more at the end.
func (r *recorder) window(ctx context.Context, flows uint32, most float64, d time.Duration) (h haul, err error) {
	var mine, unrecorded uint64 // what the devices say by themselves is in rows too, and not ours
	const port = 9000
	keep := func(e ebpf.Epoch) error {
		h.rows += uint64(len(e.Flows))
		unrecorded += e.Identity.Unrecorded
		for _, f := range e.Flows {
			if f.Proto == unix.IPPROTO_UDP && f.Src.Port() == port {
				mine += f.Packets
			}
		}
		return r.store.Append(e)
	}
	drain := func() (err error) {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		before := threadTime()
		err = r.guard.Drain(ctx, keep)
		h.took += threadTime() - before
		return err
	}
	var stop atomic.Bool
	var sent atomic.Uint64
	var wg sync.WaitGroup
	start := time.Now()
	work(&wg, 0, func() {
		sink := sinks.Addr().As4()
		src := netip.AddrPortFrom(r.cable.addrA, port)
		for n := uint32(0); !stop.Load(); {
			if most > 0 && n%32 == 0 && float64(n) > most*time.Since(start).Seconds() {
				runtime.Gosched()
				continue
			}
			k := n
			if n++; flows > 0 {
				k %= flows
			}
			sink[3] = byte(k)
			r.out.udp4(src, netip.AddrPortFrom(netip.AddrFrom4(sink), uint16(1024+k>>8%60000)), 22)
			if r.out.put() {
				sent.Add(1)
			}
		}
	})
	for err == nil && time.Since(start) < d {
		if err = pause(ctx, 500*time.Millisecond); err == nil {
			err = drain()
		}
	}
	stop.Store(true)
	wg.Wait()
	took := time.Since(start)
	if err = errors.Join(err, drain()); err != nil {
		return h, err
	}
	h.sent = sent.Load()
	h.rate = float64(h.sent) / took.Seconds()
	if mine != h.sent || unrecorded > 0 {
		h.lost = fmt.Sprintf("%d sent, %d in rows, %d unrecorded", h.sent, mine, unrecorded)
	}
	return h, nil
}

// threadTime is what the calling thread has used of a processor.
func threadTime() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
		panic(err) // every Linux has it
	}
	return time.Duration(ts.Nano())
}
