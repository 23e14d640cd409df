// SPDX-License-Identifier: Apache-2.0

package ebpf

import (
	"errors"
	"net/netip"
	"testing"

	"croft/lease"
)

func TestCompile(t *testing.T) {
	l := &lease.Lease{BurstOut: 300_000}
	l.RSet[lease.EgressRate], l.RSet[lease.IngressRate] = 5e6, 100e6
	l.RSet[lease.EgressPackets], l.RSet[lease.IngressPackets] = 2000, 40
	l.RSet[lease.EgressDaily], l.RSet[lease.FlowsNew], l.RSet[lease.FlowsLive] = 1e9, 50, 60
	at := Addresses{Source4: netip.MustParseAddr("10.9.0.2"), MAC: [6]byte{2, 0, 0, 0, 0, 7}}
	got := Compile(l, at, Conditions{Deadline: 77, DayFrom: 7, FanOut: 9, Rows: 8})
	want := Limits{
		Egress:  Way{Rate: 5e6, Burst: 300_000, Packets: 2000, PacketBurst: 500},
		Ingress: Way{Rate: 100e6, Burst: 100e6 / 8 / 4, Packets: 40, PacketBurst: MinPacketBurst},
		Daily:   1e9, DayFrom: 7, FanOut: 9, Rows: 8, FlowsNew: 50, FlowsLive: 60,
		Source4: at.Source4, MAC: at.MAC, Deadline: 77,
	}
	if got != want {
		t.Fatalf("got  %+v\nwant %+v", got, want)
	}
	if err := got.Check(); err != nil {
		t.Fatal(err)
	}
	if got := Compile(&lease.Lease{}, at, Conditions{FlowsNew: 7, FanOut: 9}); got.FlowsNew != 7 || got.FanOut != 9 {
		t.Errorf("a lease that states neither: %d new flows/s, fan-out %d; want the node's", got.FlowsNew, got.FanOut)
	}
	if got := Compile(l, at, Conditions{FlowsNew: 7}).FlowsNew; got != 50 {
		t.Errorf("%d new flows/s, want the lease's 50", got)
	}
	l.FanOut = 3
	if got := Compile(l, at, Conditions{FanOut: 9}).FanOut; got != 3 {
		t.Errorf("a lease of fan-out 3 has %d", got)
	}
}

func TestCompileOfNothingPassesNothing(t *testing.T) {
	limits := Compile(&lease.Lease{BurstOut: 1000, BurstIn: 1000}, Addresses{}, Conditions{Deadline: 1})
	for _, w := range []Way{limits.Egress, limits.Ingress} {
		m := NewMeter(w)
		if r := m.Charge(1e18, 1, 1, false); r == ReasonNone {
			t.Fatalf("%+v let a packet pass", w)
		}
	}
}

func TestCompileStaysInBounds(t *testing.T) {
	l := &lease.Lease{BurstOut: lease.MaxAmount}
	for r := range l.RSet {
		l.RSet[r] = lease.MaxAmount
	}
	if err := Compile(l, Addresses{}, Conditions{Deadline: 1}).Check(); err != nil {
		t.Fatal(err)
	}
}

func TestLimitsCheckRefuses(t *testing.T) {
	for name, l := range map[string]Limits{
		"rate":          {Egress: Way{Rate: MaxRate + 1}},
		"burst":         {Ingress: Way{Burst: MaxBurst + 1}},
		"fan-out":       {FanOut: MaxFanOut + 1},
		"daily":         {Daily: MaxDaily + 1},
		"flows":         {FlowsNew: MaxFlowRate + 1},
		"rows":          {Rows: MaxFlows},
		"v6 as source4": {Source4: netip.MustParseAddr("2001:db9::1")},
		"v4 as source6": {Source6: netip.MustParseAddr("192.0.2.1")},
		"mapped":        {Source6: netip.MustParseAddr("::ffff:192.0.2.1")},
	} {
		if err := l.Check(); !errors.Is(err, ErrField) {
			t.Errorf("%s: %v, want ErrField", name, err)
		}
	}
}

func TestPortCheck(t *testing.T) {
	good := Port{Sliver: "abcdefgh22334455", Place: 3, IfIndex: 7}
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", "abcdefgh223344556", "../x", "A", "a.b"} {
		bad := good
		bad.Sliver = name
		if err := bad.Check(); !errors.Is(err, ErrField) {
			t.Errorf("%q: %v, want ErrField", name, err)
		}
	}
	bad := good
	bad.IfIndex = 0
	if err := bad.Check(); !errors.Is(err, ErrField) {
		t.Errorf("ifindex 0: %v, want ErrField", err)
	}
}

func TestReasonsAreNamed(t *testing.T) {
	seen := map[string]bool{}
	for r := range Reason(NumReasons) {
		name := r.String()
		if name == "" || r.Meaning() == "" || seen[name] {
			t.Errorf("reason %d: name %q, meaning %q", r, name, r.Meaning())
		}
		seen[name] = true
		if back, err := ParseReason(name); back != r || err != nil {
			t.Errorf("%q reads as %d, %v", name, back, err)
		}
	}
	if _, err := ParseReason("weather"); !errors.Is(err, ErrField) {
		t.Errorf("unknown reason: %v", err)
	}
}

func TestIdentity(t *testing.T) {
	i := Identity{Seen: 10, Recorded: 4, Unrecorded: 1, NoSliver: 2}
	i.Dropped[ReasonBytes] = 3
	if err := i.Check(); err != nil {
		t.Fatal(err)
	}
	i.Recorded--
	if err := i.Check(); !errors.Is(err, ErrIdentity) {
		t.Fatalf("a lost row: %v", err)
	}
}

func TestChannelsAreNamed(t *testing.T) {
	for _, c := range Channels() {
		if back, err := ParseChannel(c.String()); back != c || err != nil || c.Check() != nil {
			t.Errorf("%q reads as %d, %v", c, back, err)
		}
	}
	for _, c := range []Channel{0, ChannelShim + 1} {
		if err := c.Check(); !errors.Is(err, ErrField) {
			t.Errorf("%s: %v", c, err)
		}
	}
}
