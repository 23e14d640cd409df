// SPDX-License-Identifier: Apache-2.0

package bypass

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	stdnet "net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"croft/ebpf"
	slivernet "croft/ebpf/net"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

const (
	fullRate = 1e9 // messages a second: as fast as the machine does it
	attack   = 3 * time.Second
	rounds   = 150 // questions that somebody else asks meanwhile
)

// faultBench is a bench with a sliver under limits, and the account of both.
type faultBench struct {
	*bench
	t    *testing.T
	self *sliver
	sum  ebpf.Identity
	rows []ebpf.Flow
}

// doors are its public ports, from firstDoor on: the host bounds how fast flows to
// one of them begin.
const firstDoor, doors = 7101, 8

func newFaultBench(t *testing.T, plan slivernet.Sliver, l ebpf.Limits) *faultBench {
	needRoot(t)
	b, err := openBench(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.close(); err != nil {
			t.Error(err)
		}
	})
	plan.Name = "self"
	for i := range uint16(doors) {
		plan.Ports = append(plan.Ports, public(firstDoor+i)...)
	}
	f := &faultBench{bench: b, t: t, self: &sliver{plan: plan, ns: netns.None()}}
	t.Cleanup(func() { f.self.close() })
	if err := b.add(t.Context(), f.self); err != nil {
		t.Fatal(err)
	}
	l.Deadline = boot() + int64(time.Hour)
	if err := b.guardAndRaise(t.Context(), f.self, l); err != nil {
		t.Fatal(err)
	}
	return f
}

// drain adds an epoch to the account, which must balance.
func (f *faultBench) drain() error {
	return f.guard.Drain(context.WithoutCancel(f.t.Context()), func(e ebpf.Epoch) error {
		f.sum.Seen += e.Identity.Seen
		f.sum.Recorded += e.Identity.Recorded
		f.sum.Unrecorded += e.Identity.Unrecorded
		f.sum.NoSliver += e.Identity.NoSliver
		for r, n := range e.Identity.Dropped {
			f.sum.Dropped[r] += n
		}
		f.rows = append(f.rows, e.Flows...)
		return nil
	})
}

// under floods as fast as can be, drains all the while, and has do done meanwhile.
func (f *faultBench) under(floods []*flood, do ...func() error) (sent uint64) {
	f.t.Helper()
	ctx, stop := context.WithTimeout(f.t.Context(), attack)
	defer stop()
	var attackers, others sync.WaitGroup
	errs := make(chan error, len(do)+1)
	for _, fl := range floods {
		attackers.Go(func() { fl.run(ctx, fullRate) })
	}
	for _, do := range do {
		others.Go(func() {
			if err := do(); err != nil {
				errs <- err
			}
		})
	}
	others.Go(func() {
		for tick := time.NewTicker(sampling); ; {
			select {
			case <-tick.C:
			case <-ctx.Done():
				tick.Stop()
				return
			}
			if err := f.drain(); err != nil {
				errs <- err
				return
			}
		}
	})
	others.Wait()
	stop()
	attackers.Wait()
	for _, fl := range floods {
		sent += fl.packets.Load()
		if err := fl.close(); err != nil {
			f.t.Error(err)
		}
	}
	if err := f.drain(); err != nil {
		f.t.Error(err)
	}
	select {
	case err := <-errs:
		f.t.Error(err)
	default:
	}
	return sent
}

// balance holds the epochs' account against the counters of both slivers.
func (f *faultBench) balance() (self ebpf.Counters) {
	f.t.Helper()
	var all ebpf.Count
	for _, name := range []string{f.self.plan.Name, f.peer.plan.Name} {
		c, err := f.guard.Counters(f.t.Context(), name)
		if err != nil {
			f.t.Fatal(err)
		}
		if name == f.self.plan.Name {
			self = c
		}
		for _, w := range []ebpf.Count{c.Egress, c.Ingress} {
			if w.SeenPackets != w.PassedPackets+w.DroppedPackets() {
				f.t.Errorf("%s: seen %d, passed %d, dropped %v", name, w.SeenPackets, w.PassedPackets, w.Dropped)
			}
			all.SeenPackets += w.SeenPackets
			all.PassedPackets += w.PassedPackets
			for r, n := range w.Dropped {
				all.Dropped[r] += n
			}
		}
	}
	// What came while a port was not raised yet has no counter.
	if f.sum.Seen-f.sum.NoSliver != all.SeenPackets || f.sum.Recorded+f.sum.Unrecorded != all.PassedPackets || f.sum.Dropped != all.Dropped {
		f.t.Errorf("epochs %+v, counters %+v", f.sum, all)
	}
	return self
}

// echo answers at a UDP and a TCP port of a namespace until the test ends.
func echo(t *testing.T, ns netns.NsHandle, at string) {
	t.Helper()
	var p stdnet.PacketConn
	var l stdnet.Listener
	err := within(ns, func() (err error) {
		if p, err = stdnet.ListenPacket("udp", at); err == nil {
			l, err = stdnet.Listen("tcp", at)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	t.Cleanup(func() { p.Close(); l.Close(); running.Wait() })
	running.Go(func() {
		buf := make([]byte, 2048)
		for {
			n, from, err := p.ReadFrom(buf)
			if err != nil {
				return
			}
			p.WriteTo(buf[:n], from)
		}
	})
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { defer c.Close(); io.Copy(c, c) })
		}
	})
}

// asks opens n connections, one after the other, and has a word come back on each.
// It tells their ports here.
func asks(ns netns.NsHandle, network string, to netip.AddrPort, n int, ports *[]uint16) func() error {
	return func() error {
		for i := range n {
			var c stdnet.Conn
			err := within(ns, func() (err error) { c, err = stdnet.DialTimeout(network, to.String(), patience); return err })
			if err != nil {
				return fmt.Errorf("question %d of %d: %w", i, n, err)
			}
			*ports = append(*ports, netip.MustParseAddrPort(c.LocalAddr().String()).Port())
			if err := ask(c); err != nil {
				return fmt.Errorf("question %d of %d to %s: %w", i, n, to, err)
			}
			c.Close()
		}
		return nil
	}
}

// patience is for a machine that has much else to do. A datagram that a full queue
// of the machine's lost is sent again, as every program does.
const patience = 20 * time.Second

func ask(c stdnet.Conn) error {
	word, buf := []byte("word"), make([]byte, 16)
	for until := time.Now().Add(patience); ; {
		if _, err := c.Write(word); err != nil {
			return err
		}
		c.SetReadDeadline(time.Now().Add(time.Second))
		n, err := c.Read(buf)
		if err == nil && string(buf[:n]) == string(word) {
			return nil
		}
		if time.Now().After(until) {
			return fmt.Errorf("got %q: %w", buf[:n], err)
		}
	}
}

// garbage makes frames of every kind that there is and is not: noise, noise behind
// each type, and well-made packets that are cut, bent or go on with chains of
// headers.
func (f *faultBench) garbage(r *rand.Rand) (frames [][]byte) {
	v := f.self
	noise := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	}
	types := []uint16{unix.ETH_P_IP, unix.ETH_P_IPV6, unix.ETH_P_ARP, unix.ETH_P_8021Q, unix.ETH_P_8021AD, unix.ETH_P_MPLS_UC,
		unix.ETH_P_PPP_SES, unix.ETH_P_LOOPBACK, unix.ETH_P_LLDP, unix.ETH_P_BATMAN, etherLocal, 0, 100}
	protos := []byte{0, 1, 2, 4, 6, 17, 41, 43, 44, 47, 50, 51, 58, 59, 60, 132, 135, 139, 140, 255}
	for len(frames) < 8192 {
		var f []byte
		src, dst := netip.AddrPortFrom(v.addr(false), uint16(r.Uint32())), netip.AddrPortFrom(benchEnds.world4, uint16(r.Uint32()))
		if r.IntN(2) == 0 {
			src, dst = netip.AddrPortFrom(v.addr(true), src.Port()), netip.AddrPortFrom(benchEnds.world6, dst.Port())
		} else if r.IntN(16) == 0 {
			dst = netip.AddrPortFrom(netip.MustParseAddr("192.168.1.1"), dst.Port())
		}
		body := [][]byte{udp(src, dst, r.IntN(200)), tcp(src, dst, r.IntN(200), r.IntN(2) == 0), icmp(src.Addr(), dst.Addr(), byte(r.IntN(256)), 0, noise(r.IntN(80)))}
		proto := protos[r.IntN(len(protos))]
		kind := uint16(unix.ETH_P_IP)
		if src.Addr().Is6() {
			kind = unix.ETH_P_IPV6
		}
		switch r.IntN(6) {
		case 0:
			f = noise(14 + r.IntN(1486))
		case 1:
			f = ether(v.gateway, v.mac, types[r.IntN(len(types))], noise(r.IntN(1486)))
		case 2: // as it should be, or of another protocol than it says
			f = ether(v.gateway, v.mac, kind, packet(src.Addr(), dst.Addr(), proto, body[r.IntN(3)]))
		case 3: // chains
			var chain []byte
			first := proto
			for range r.IntN(12) {
				chain = append(chain, append([]byte{protos[r.IntN(len(protos))], byte(r.IntN(4))}, noise(6+8*r.IntN(4))...)...)
			}
			f = ether(v.gateway, v.mac, kind, packet(src.Addr(), dst.Addr(), first, append(chain, body[r.IntN(3)]...)))
		case 4: // bent
			f = ether(v.gateway, v.mac, kind, packet(src.Addr(), dst.Addr(), []byte{17, 6, 1}[r.IntN(3)], body[r.IntN(3)]))
			for range 1 + r.IntN(4) {
				f[r.IntN(min(len(f), 70))] = byte(r.Uint32())
			}
		case 5: // cut
			f = ether(v.gateway, v.mac, kind, packet(src.Addr(), dst.Addr(), proto, body[r.IntN(3)]))
			f = f[:14+r.IntN(len(f)-14)]
		}
		frames = append(frames, f)
	}
	return frames
}

// Garbage at full rate, plain and as super-packets whose headers lie, does nothing
// but be dropped and counted: the account is exact in every epoch, and another
// sliver's connections are answered.
func TestRootGarbage(t *testing.T) {
	f := newFaultBench(t, slivernet.Sliver{Place: 0}, ebpf.Limits{Egress: wide, Ingress: wide})
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	frames := f.garbage(r)
	plain, err := packetSocket(f.self.ns, f.self.eth, false)
	if err != nil {
		t.Fatal(err)
	}
	lying, err := packetSocket(f.self.ns, f.self.eth, true)
	if err != nil {
		t.Fatal(err)
	}
	var super [][]byte
	for _, x := range frames {
		super = append(super, offload{flags: byte(r.IntN(3)), kind: []byte{0, segmentTCP4, segmentUFO, segmentTCP6, segmentUDP, 0x81}[r.IntN(6)], headers: uint16(r.IntN(120)),
			segment: uint16(r.IntN(600)), checkStart: uint16(r.IntN(60)), checkWhere: uint16(r.IntN(20))}.before(x))
	}
	echo(t, f.world, netip.AddrPortFrom(benchEnds.world4, worldPort).String())
	var ports []uint16
	sent := f.under([]*flood{newFlood(plain, shotsOf(frames)), newFlood(lying, shotsOf(super))},
		asks(f.peer.ns, "udp", netip.AddrPortFrom(benchEnds.world4, worldPort), rounds, &ports),
		asks(f.peer.ns, "tcp", netip.AddrPortFrom(benchEnds.world4, worldPort), rounds, &ports))
	c := f.balance()
	t.Logf("sent %d frames, seen %d, passed %d, dropped %v", sent, c.Egress.SeenPackets, c.Egress.PassedPackets, c.Egress.Dropped)
	if c.Egress.SeenPackets < sent/2 || sent < 50_000 {
		t.Errorf("of %d frames the guard saw %d", sent, c.Egress.SeenPackets)
	}
	for _, why := range []ebpf.Reason{ebpf.ReasonMalformed, ebpf.ReasonProtocol, ebpf.ReasonSource, ebpf.ReasonHeader, ebpf.ReasonFragment, ebpf.ReasonClosed} {
		if c.Egress.Dropped[why] == 0 {
			t.Errorf("nothing was dropped as %s: that is not every kind of garbage", why)
		}
	}
	if f.sum.Unrecorded != 0 {
		t.Errorf("%d packets passed without a row", f.sum.Unrecorded)
	}
	f.wantRows(f.peer, ports, ebpf.Egress, ebpf.Ingress)
}

// wantRows looks for rows of each connection that a sliver opened.
func (f *faultBench) wantRows(v *sliver, ports []uint16, ways ...ebpf.Direction) {
	f.t.Helper()
	for _, port := range ports {
		for _, d := range ways {
			if !slices.ContainsFunc(f.rows, func(r ebpf.Flow) bool {
				own, far := r.Src, r.Dst
				if d == ebpf.Ingress {
					own, far = far, own
				}
				return r.Sliver == v.plan.Name && r.Direction == d && own.Port() == port && far == netip.AddrPortFrom(benchEnds.world4, worldPort)
			}) {
				f.t.Errorf("%s from port %d has no row", d, port)
			}
		}
	}
	if len(ports) < rounds {
		f.t.Errorf("only %d connections", len(ports))
	}
}

// A flood of made-up sources at a public port takes from the sliver no flow, row or
// connection of its own: what is over the quota is in one row, what is over the
// ceiling stays out, and the node's own connections are opened and answered.
func TestRootSpoofedFlood(t *testing.T) {
	for _, c := range []struct {
		name string
		live uint64 // the ceiling, far above or far below what the flood opens
	}{{"rows", 1 << 15}, {"ceiling", 200}} {
		t.Run(c.name, func(t *testing.T) {
			f := newFaultBench(t, slivernet.Sliver{Place: 0, Live: c.live}, ebpf.Limits{Egress: wide, Ingress: wide, Rows: 256, FlowsNew: 2 * rounds, FlowsLive: c.live, FanOut: 16})
			world, err := f.w.LinkByName(worldDev)
			if err != nil {
				t.Fatal(err)
			}
			host, err := f.h.LinkByName(hostDev)
			if err != nil {
				t.Fatal(err)
			}
			var frames [][]byte
			for i := range uint32(1 << 16) {
				to := netip.AddrPortFrom(benchEnds.host4, firstDoor+uint16(i%doors))
				var a [4]byte
				binary.BigEndian.PutUint32(a[:], 9<<24|i*2654435761>>8)
				from := netip.AddrPortFrom(netip.AddrFrom4(a), uint16(1024+i%60_000))
				frames = append(frames, ether(host.Attrs().HardwareAddr, world.Attrs().HardwareAddr, unix.ETH_P_IP, packet(from.Addr(), to.Addr(), unix.IPPROTO_UDP, udp(from, to, 1))))
			}
			fd, err := packetSocket(f.world, world.Attrs().Index, false)
			if err != nil {
				t.Fatal(err)
			}
			at := netip.AddrPortFrom(benchEnds.world4, worldPort)
			echo(t, f.world, at.String())
			var own, nodes []uint16
			sent := f.under([]*flood{newFlood(fd, shotsOf(frames))},
				asks(f.self.ns, "udp", at, rounds, &own), asks(f.host, "tcp", at, rounds, &nodes))
			got := f.balance()
			var overflow uint64
			for _, r := range f.rows {
				if r.Proto == ebpf.ProtoOverflow && r.Direction == ebpf.Ingress {
					overflow += r.Packets
				}
			}
			t.Logf("sent %d packets; towards the sliver %d, passed %d, in the row of the rest %d; dropped %v", sent, got.Ingress.SeenPackets, got.Ingress.PassedPackets, overflow, got.Ingress.Dropped)
			// (Its kernel's own talk on the link, from a link-local address, is dropped.)
			if got.Egress.DroppedPackets() != got.Egress.Dropped[ebpf.ReasonSource] || f.sum.Unrecorded != 0 {
				t.Errorf("of its own %v were dropped, %d not recorded", got.Egress.Dropped, f.sum.Unrecorded)
			}
			f.wantRows(f.self, own, ebpf.Egress) // answers count among what comes from outside
			if len(nodes) != rounds {
				t.Errorf("the node opened %d of %d connections", len(nodes), rounds)
			}
			counters, err := f.net.Counters(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(counters, func(c slivernet.Counters) bool { return c.Sliver == "self" })
			if i < 0 {
				t.Fatalf("no counters: %+v", counters)
			}
			t.Logf("%+v", counters[i])
			if counters[i].RefusedOut != 0 {
				t.Errorf("%d of its own flows were refused", counters[i].RefusedOut)
			}
			switch c.name {
			case "rows":
				if overflow == 0 || counters[i].In <= 256 {
					t.Errorf("%d packets are in the row of what has none, of %d flows", overflow, counters[i].In)
				}
			case "ceiling":
				if counters[i].RefusedIn == 0 || counters[i].In > c.live {
					t.Errorf("%+v", counters[i])
				}
			}
		})
	}
}
