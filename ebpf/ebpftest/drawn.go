// SPDX-License-Identifier: Apache-2.0

package ebpftest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"croft/ebpf"
)

// Bench judges given packets at given times: one sliver "probe" is attached,
// with [Wide] limits and [Local4] and [Local6] as its addresses.
type Bench interface {
	Guard() ebpf.Guard
	// Limits are those that are in force at first.
	Limits() ebpf.Limits
	// Reopen ends the guard's process and starts another over what is left.
	Reopen()
	// Tick sets the boot clock.
	Tick(now int64)
	// Judge sends a packet; none arrives anywhere.
	Judge(d ebpf.Direction, p Packet) ebpf.Reason
}

// Packet is one that is whole, of so many octets at L3. Of an echo (ICMP 1 and
// 58) the local port is the id, and it is a question.
type Packet struct {
	Proto         uint8
	Local, Remote netip.AddrPort
	Octets        int
}

// The sliver of a drawing.
var (
	Local4 = netip.MustParseAddr("10.200.0.2")
	Local6 = netip.MustParseAddr("fdc4::2")
)

// Start is a boot clock that begins a tick, by which kernels count idle time.
const Start = int64(200) << 33

// RunDrawn plays every drawing; each calls newBench once.
//
// A drawing is a list of lines, each at a time since the start and with what
// must come of it. A plus after a port or an address counts up with each packet:
//
//	0s  out udp 1000+ 198.41.0.4:53 x20 100 = 16 pass, 4 flows
//	1s  limits flows=0
//	2s  charge out logs 3000 = pass
//	2s  optout 198.41.0.4
//	3s  restart
//	3s  left 1000
//	3s  room 40
//	3s  drain udp/egress=3 overflow/ingress=1 seen=20
func RunDrawn(t *testing.T, newBench func(t *testing.T) Bench) {
	for _, d := range drawings {
		t.Run(d.name, func(t *testing.T) {
			p := player{t: t, b: newBench(t)}
			p.l = p.b.Limits()
			p.b.Tick(Start)
			for line := range strings.Lines(d.text) {
				if line, _, _ = strings.Cut(line, "#"); strings.TrimSpace(line) != "" {
					p.play(strings.TrimSpace(line))
				}
			}
			p.drain(nil) // whatever was drawn, it adds up
		})
	}
}

type player struct {
	t *testing.T
	b Bench
	l ebpf.Limits
}

func (p *player) play(line string) {
	p.t.Helper()
	does, want, _ := strings.Cut(line, "=  ")
	if !strings.Contains(line, "=  ") {
		if head, tail, ok := strings.Cut(line, " = "); ok {
			does, want = head, tail
		}
	}
	f := strings.Fields(does)
	at, err := time.ParseDuration(f[0])
	if err != nil || len(f) < 2 {
		p.t.Fatalf("%s: a time and an act: %v", line, err)
	}
	p.b.Tick(Start + int64(at))
	ctx := context.Background()
	switch f[1] {
	case "out", "in":
		if got := p.send(f[1:]); got != strings.TrimSpace(want) {
			p.t.Fatalf("%s\ngot %s", line, got)
		}
	case "limits":
		for _, set := range f[2:] {
			p.set(set)
		}
		err = p.b.Guard().Update(ctx, "probe", p.l)
	case "attach":
		err = p.b.Guard().Update(ctx, "probe", p.l)
	case "charge":
		if got := p.charge(f[2:]); got != strings.TrimSpace(want) {
			p.t.Fatalf("%s\ngot %s", line, got)
		}
	case "optout":
		var addrs []netip.Addr
		for _, a := range f[2:] {
			addrs = append(addrs, netip.MustParseAddr(a))
		}
		err = p.b.Guard().SetOptOut(ctx, addrs)
	case "restart":
		p.b.Reopen()
	case "left":
		c, e := p.b.Guard().Counters(ctx, "probe")
		if err = e; strconv.FormatUint(c.DailyLeft, 10) != f[2] {
			p.t.Fatalf("%s\ngot %d", line, c.DailyLeft)
		}
	case "room":
		c, e := p.b.Guard().Counters(ctx, "probe")
		if err = e; strconv.FormatUint(c.PacketsLeft[ebpf.Egress], 10) != f[2] {
			p.t.Fatalf("%s\ngot %d", line, c.PacketsLeft)
		}
	case "drain":
		p.drain(f[2:])
	default:
		p.t.Fatalf("%s: unknown act", line)
	}
	if err != nil {
		p.t.Fatalf("%s: %v", line, err)
	}
}

// set changes one limit.
func (p *player) set(assignment string) {
	name, text, _ := strings.Cut(assignment, "=")
	if d, err := time.ParseDuration(text); err == nil && text != "0" {
		switch name {
		case "deadline":
			p.l.Deadline = Start + int64(d)
			return
		case "from":
			p.l.DayFrom = Start + int64(d)
			return
		}
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		p.t.Fatalf("%s: %v", assignment, err)
	}
	field, ok := map[string]*uint64{
		"flows": &p.l.FlowsNew, "fanout": &p.l.FanOut, "daily": &p.l.Daily, "rows": &p.l.Rows,
		"rate": &p.l.Egress.Rate, "burst": &p.l.Egress.Burst, "packets": &p.l.Egress.Packets, "packetburst": &p.l.Egress.PacketBurst,
		"in.rate": &p.l.Ingress.Rate, "in.burst": &p.l.Ingress.Burst, "in.packets": &p.l.Ingress.Packets, "in.packetburst": &p.l.Ingress.PacketBurst,
	}[name]
	if !ok {
		p.t.Fatalf("%s: no such limit", assignment)
	}
	*field = n
}

var protocols = map[string]uint8{"udp": 17, "tcp": 6, "echo": 1, "echo6": 58}

// send sends packets and says what came of them, in the order of first sight.
func (p *player) send(f []string) string {
	d := ebpf.Egress
	if f[0] == "in" {
		d = ebpf.Ingress
	}
	times, octets := 1, 100
	for _, opt := range f[4:] {
		if n, err := strconv.Atoi(strings.TrimPrefix(opt, "x")); err != nil {
			p.t.Fatalf("%q: %v", opt, err)
		} else if opt[0] == 'x' {
			times = n
		} else {
			octets = n
		}
	}
	local, localUp := strings.CutSuffix(f[2], "+")
	remote, remoteUp := strings.CutSuffix(f[3], "+")
	port, err := strconv.ParseUint(local, 10, 16)
	if err != nil {
		p.t.Fatalf("%q: %v", local, err)
	}
	host, addressUp := strings.CutSuffix(remote, "+") // 198.41.0.4+:53 counts the address up
	if m := regexp.MustCompile(`^(.*)\+(\]?:\d+)$`).FindStringSubmatch(remote); m != nil {
		host, addressUp = m[1]+m[2], true
	}
	far, err := netip.ParseAddrPort(host)
	if err != nil {
		p.t.Fatalf("%q: %v", remote, err)
	}
	var order []ebpf.Reason
	found := map[ebpf.Reason]int{}
	for range times {
		own := Local4
		if far.Addr().Is6() {
			own = Local6
		}
		r := p.b.Judge(d, Packet{Proto: protocols[f[1]], Local: netip.AddrPortFrom(own, uint16(port)), Remote: far, Octets: octets})
		if found[r]++; found[r] == 1 {
			order = append(order, r)
		}
		if localUp {
			port++
		}
		if remoteUp {
			far = netip.AddrPortFrom(far.Addr(), far.Port()+1)
		}
		if addressUp {
			far = netip.AddrPortFrom(next(far.Addr()), far.Port())
		}
	}
	said := make([]string, len(order))
	for i, r := range order {
		name := r.String()
		if r == ebpf.ReasonNone {
			name = "pass"
		}
		said[i] = fmt.Sprintf("%d %s", found[r], name)
	}
	return strings.Join(said, ", ")
}

// next is another address: of IPv6, in the next /64.
func next(a netip.Addr) netip.Addr {
	if a.Is4() {
		return a.Next()
	}
	b := a.As16()
	for i := 7; i >= 0; i-- {
		if b[i]++; b[i] != 0 {
			break
		}
	}
	return netip.AddrFrom16(b)
}

func (p *player) charge(f []string) string {
	d := ebpf.Egress
	if f[0] == "in" {
		d = ebpf.Ingress
	}
	ch, err := ebpf.ParseChannel(f[1])
	if err != nil {
		p.t.Fatal(err)
	}
	n, err := strconv.ParseUint(f[2], 10, 64)
	if err != nil {
		p.t.Fatal(err)
	}
	var wait *ebpf.Wait
	switch err := p.b.Guard().Charge(context.Background(), "probe", d, ch, n); {
	case err == nil:
		return "pass"
	case errors.As(err, &wait):
		return fmt.Sprintf("wait %s for %s", wait.For.Round(time.Millisecond), wait.Reason)
	case errors.Is(err, ebpf.ErrField):
		return "never"
	case errors.Is(err, ebpf.ErrNotAttached):
		return "over"
	default:
		return err.Error()
	}
}

// drain checks one epoch: how many rows of a kind it has, or a count of its
// identity.
func (p *player) drain(wants []string) {
	p.t.Helper()
	var got []ebpf.Epoch
	err := p.b.Guard().Drain(context.Background(), func(e ebpf.Epoch) error { got = append(got, e); return e.Identity.Check() })
	if err != nil || len(got) > 1 {
		p.t.Fatalf("drain: %d epochs, %v", len(got), err)
	}
	if len(got) == 0 { // nothing was seen
		got = make([]ebpf.Epoch, 1)
	}
	e, have := got[0], map[string]uint64{}
	names := map[uint8]string{17: "udp", 6: "tcp", 1: "echo", 58: "echo6", ebpf.ProtoOverflow: "overflow", ebpf.ProtoFragment: "fragment"}
	for _, f := range e.Flows {
		name := names[f.Proto]
		if f.Proto == ebpf.ProtoNode {
			name = ebpf.Channel(f.Src.Port()).String()
			have[name+"/"+f.Direction.String()+"/bytes"] += f.Bytes
		}
		have[name+"/"+f.Direction.String()]++
	}
	have["seen"], have["recorded"], have["unrecorded"] = e.Identity.Seen, e.Identity.Recorded, e.Identity.Unrecorded
	for _, w := range wants {
		name, n, _ := strings.Cut(w, "=")
		if strconv.FormatUint(have[name], 10) != n {
			p.t.Fatalf("drain %s, got %d of %v", w, have[name], have)
		}
	}
}

// Wide returns limits of the sliver of a drawing that stop nothing.
func Wide() ebpf.Limits {
	w := ebpf.Way{Rate: 1e12, Burst: ebpf.MaxBurst, Packets: 1e9, PacketBurst: 1e9}
	return ebpf.Limits{Egress: w, Ingress: w, Source4: Local4, Source6: Local6, MAC: [6]byte{2, 0xc4, 0, 0, 0, 2}, DayFrom: Start, Deadline: Start + 1000*3600e9}
}
