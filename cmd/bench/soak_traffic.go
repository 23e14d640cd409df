// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// What a sliver is there for.
const (
	openRate   = 395 // new flows/s of one that opens them: 5 s of it are just within ebpf.DefaultRows
	talkRate   = 200 // packets/s of one that asks and is answered
	echoPort   = 5007
	sinkPort   = 5008
	publicUDP  = 6000 // of the first flooded sliver, and of nobody else
	publicTCP  = 6001
	insideUDP  = 7000
	insideTCP  = 7001
	beat       = 5 * time.Millisecond
	inboundPer = 10 // one packet in so many comes from outside under a made-up source
)

// traffic is all that is sent, but for TCP, by hand: a packet costs its sender
// little, and what was put on a sliver's device can be counted.
type traffic struct {
	node   *soakNode
	target atomic.Uint64 // packets/s, as the bits of a float64
	total  atomic.Uint64
	ctx    context.Context
	cancel context.CancelFunc
	crew   sync.WaitGroup

	floods, openers, talkers []*guest
	tcp                      *guest
	abusers                  map[string]*guest
	spoofs                   *spout
	seen                     atomic.Pointer[sighting] // the newest packet that the echo got
	closers                  []func()
}

// A sighting is who sent a packet, as its receiver saw it, and when.
type sighting struct {
	from netip.AddrPort
	at   time.Time
}

func newTraffic(n *soakNode) (t *traffic, err error) {
	t = &traffic{node: n, abusers: map[string]*guest{}, cancel: func() {}}
	t.spoofs, err = n.spoofer()
	return t, err
}

func (t *traffic) close() {
	t.stop()
	if t.spoofs != nil {
		t.spoofs.close()
	}
	for _, g := range append(t.guests(), t.tcp) {
		if g != nil && g.space.links != nil { // it was leased
			g.space.close()
		}
	}
}

// guests are those whose packets are all put by hand, so that they can be counted.
func (t *traffic) guests() []*guest {
	all := append(append(append([]*guest{}, t.floods...), t.openers...), t.talkers...)
	for _, g := range t.abusers {
		all = append(all, g)
	}
	return all
}

func (t *traffic) set(rate float64) { t.target.Store(math.Float64bits(rate)) }
func (t *traffic) rate() float64    { return math.Float64frombits(t.target.Load()) }
func (t *traffic) sent() uint64     { return t.total.Load() }

// opening is what new flows take of the rate: most of it, up to what their slivers'
// quotas of rows take.
func (t *traffic) opening() float64 { return min(float64(openRate*len(t.openers)), 0.8*t.rate()) }

// bulk is what is left for the smallest of packets.
func (t *traffic) bulk() float64 {
	return max(0, t.rate()-t.opening()-float64(talkRate*len(t.talkers)))
}

// stop ends all of it.
func (t *traffic) stop() {
	t.cancel()
	for _, c := range t.closers {
		c()
	}
	t.closers = nil
	t.crew.Wait()
}

// pace has put called so many times a second. What it is late by more than a
// second is not made up for, and so missing in what was sent.
func (t *traffic) pace(ctx context.Context, rate func() float64, put func() bool) {
	t.beside(ctx, rate, func() bool {
		ok := put()
		if ok {
			t.total.Add(1)
		}
		return ok
	})
}

// beside is pace for what does not count towards the rate that is held.
func (t *traffic) beside(ctx context.Context, rate func() float64, put func() bool) {
	tick := time.NewTicker(beat)
	defer tick.Stop()
	owed, last := 0.0, time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			r := rate()
			owed = min(owed+r*now.Sub(last).Seconds(), r+1)
			for last = now; owed >= 1; owed-- {
				put()
			}
		}
	}
}

// start sends until ctx ends or stop is called.
func (t *traffic) start(ctx context.Context, rate float64) error {
	t.set(rate)
	t.ctx, t.cancel = context.WithCancel(ctx)
	if err := t.echo(); err != nil {
		return err
	}
	if err := t.streams(); err != nil {
		return err
	}
	sink := func(n uint32) netip.Addr {
		b := sinks.Addr().As4()
		return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, binary.BigEndian.Uint32(b[:])+n)))
	}
	for i, g := range t.floods {
		s, err := g.spout()
		if err != nil {
			return err
		}
		t.closers = append(t.closers, func() {})
		part := func() float64 { return t.bulk() * (inboundPer - 1) / inboundPer / float64(len(t.floods)) }
		src, dst := netip.AddrPortFrom(g.source, 9000), netip.AddrPortFrom(sink(uint32(i)), 9)
		t.crew.Go(func() {
			defer s.close()
			t.pace(t.ctx, part, func() bool { s.udp4(src, dst, 22); return s.put() })
		})
	}
	if err := t.open(sink); err != nil {
		return err
	}
	t.crew.Go(func() {
		rng := rand.New(rand.NewPCG(1, 2))
		to := netip.AddrPortFrom(t.node.address, publicUDP)
		t.pace(t.ctx, func() float64 { return t.bulk() / inboundPer }, func() bool {
			t.spoofs.udp4(netip.AddrPortFrom(sink(256+rng.Uint32N(3000)), uint16(1024+rng.IntN(60000))), to, 22)
			return t.spoofs.put()
		})
	})
	return t.abuse(sink)
}

// open has every opener open flows, each for one packet, of which one in ten is
// answered, and every talker talk.
func (t *traffic) open(sink func(uint32) netip.Addr) error {
	spouts := make([]*spout, len(t.openers)+len(t.talkers))
	for i, g := range append(append([]*guest{}, t.openers...), t.talkers...) {
		s, err := g.spout()
		if err != nil {
			return err
		}
		spouts[i] = s
	}
	const each = 8 // openers of one goroutine, so that several processors open flows
	for from := 0; from < len(t.openers); from += each {
		mine, theirs := t.openers[from:min(from+each, len(t.openers))], spouts[from:]
		t.crew.Go(func() { t.openAll(mine, theirs, sink) })
	}
	t.crew.Go(func() {
		count := 0
		t.pace(t.ctx, func() float64 { return float64(talkRate * len(t.talkers)) }, func() bool {
			i := count % len(t.talkers)
			count++
			s, g := spouts[len(t.openers)+i], t.talkers[i]
			s.udp4(netip.AddrPortFrom(g.source, uint16(9002+count/len(t.talkers)%50)), netip.AddrPortFrom(t.node.gateway, echoPort), 200)
			return s.put()
		})
		for _, s := range spouts[len(t.openers):] {
			s.close()
		}
	})
	return nil
}

// openAll opens flows from each of some slivers in turn.
func (t *traffic) openAll(guests []*guest, spouts []*spout, sink func(uint32) netip.Addr) {
	count, n := uint32(0), uint32(len(guests))
	t.pace(t.ctx, func() float64 { return t.opening() * float64(n) / float64(len(t.openers)) }, func() bool {
		s, g, c := spouts[count%n], guests[count%n], count/n
		count++
		if c%10 == 0 {
			s.udp4(netip.AddrPortFrom(g.source, uint16(1024+c/10%60000)), netip.AddrPortFrom(t.node.gateway, echoPort), 22)
		} else {
			s.udp4(netip.AddrPortFrom(g.source, 9001), netip.AddrPortFrom(sink(16+c%200), uint16(1024+c/200%60000)), 22)
		}
		return s.put()
	})
	for _, s := range spouts[:n] {
		s.close()
	}
}

// abuse has each of some slivers break its lease in one way, ten times a reason's
// allowance or less.
func (t *traffic) abuse(sink func(uint32) netip.Addr) error {
	for name, g := range t.abusers {
		s, err := g.spout()
		if err != nil {
			return err
		}
		var count uint32
		rate := 1000.0
		put := func() bool { return false }
		flow := func(src uint16, n uint32, port uint16, octets int) bool {
			s.udp4(netip.AddrPortFrom(g.source, src), netip.AddrPortFrom(sink(n), port), octets)
			return s.put()
		}
		switch name {
		case "packets":
			put = func() bool { return flow(9003, 1, 9, 22) }
		case "bytes":
			put = func() bool { return flow(9004, 2, 9, 1400) }
		case "flows":
			rate, put = 200, func() bool { count++; return flow(9005, 3, uint16(count), 22) }
		case "rows":
			put = func() bool { count++; return flow(9006, 16+count%100, uint16(1024+count/100%60000), 22) }
		case "fanout":
			rate, put = 50, func() bool { count++; return flow(9007, 256+count%3000, 9, 22) }
		case "daily":
			rate, put = 20, func() bool { return flow(9008, 4, 9, 1400) }
		case "wrong":
			rate, put = 60, func() bool {
				count++
				s.udp4(netip.AddrPortFrom(g.source, 9009), netip.AddrPortFrom(sink(5), 9), 22)
				s.wrong(int(count))
				return s.put()
			}
		}
		t.crew.Go(func() {
			defer s.close()
			t.beside(t.ctx, func() float64 { return rate }, put)
		})
	}
	return nil
}

// echo answers what comes to the world's address, and remembers from whom.
func (t *traffic) echo() error {
	var c *net.UDPConn
	err := within(t.node.world.NsHandle, func() (err error) {
		c, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(t.node.gateway, echoPort)))
		return err
	})
	if err != nil {
		return err
	}
	t.closers = append(t.closers, func() { c.Close() })
	t.crew.Go(func() {
		buf := make([]byte, 2048)
		for {
			n, from, err := c.ReadFromUDPAddrPort(buf)
			if err != nil {
				return // closed
			}
			from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
			t.seen.Store(&sighting{from, time.Now()})
			_, _ = c.WriteToUDPAddrPort(buf[:n], from) // who does not get it was not there
		}
	})
	return nil
}
