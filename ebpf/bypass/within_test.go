// SPDX-License-Identifier: Apache-2.0

package bypass

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"testing"
	"time"
)

func TestWithin(t *testing.T) {
	var names []string
	for _, it := range Within() {
		names = append(names, it.Name)
	}
	for name := range ordinary {
		if !slices.Contains(names, name) {
			t.Errorf("%s is no item that a program tries alone", name)
		}
	}
	for _, it := range slices.Concat(moments, inbound) {
		if slices.Contains(names, it.Name) {
			t.Errorf("%s takes a second one", it.Name)
		}
	}
	if !slices.Contains(names, "udp") || !slices.Contains(names, "raw") {
		t.Errorf("within: %v", names)
	}
}

func TestWeigh(t *testing.T) {
	at := func(s int64, packets uint64) Reading {
		return Reading{Before: s * 1e9, After: s * 1e9, Traffic: Traffic{Packets: packets, Octets: 100 * packets}}
	}
	w, err := Weigh([]Reading{at(1, 0), at(2, 300), at(3, 310)}, small)
	if err != nil || w.Received != (Traffic{310, 31_000}) || w.Allowed.Packets != 2*small.Packets+small.PacketBurst || w.Used > 1 {
		t.Errorf("%+v, %v", w, err)
	}
	// The whole is within the lease, and its second second is not.
	if w, err = Weigh([]Reading{at(1, 0), at(2, 0), at(3, 500)}, small); err != nil || w.Used <= 1 {
		t.Errorf("%+v, %v", w, err)
	}
	if _, err = Weigh([]Reading{at(1, 0)}, small); !errors.Is(err, ErrWeak) {
		t.Errorf("one reading: %v", err)
	}
}

// An interface without link headers counts as one with them.
func TestTapWithoutLinkHeader(t *testing.T) {
	ip := packet(benchEnds.host4, benchEnds.world4, 17, make([]byte, 8+2000))
	head := append(make([]byte, offloadHeader), ip...)
	binary.NativeEndian.PutUint16(head[4:], 1000)
	var heard []byte
	bare := &tap{foreign: func(p []byte) string { heard = p; return "" }}
	bare.count(head, len(head))
	if p, o := bare.packets.Load(), bare.octets.Load(); p != 2 || o != 2056 || len(heard) != len(ip) {
		t.Errorf("%d packets, %d octets, %d heard", p, o, len(heard))
	}
}

// A program in a sliver tries, and the receiver listens, each as anybody could.
func TestRootTryAndListen(t *testing.T) {
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
	for _, name := range []string{"udp", "many-flows", "fragments"} {
		it, err := Select([]string{name})
		if err != nil {
			t.Fatal(err)
		}
		s, err := b.stage(t.Context(), it[0], true)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		var all []Reading
		first, ended := make(chan struct{}), make(chan error, 1)
		go func() {
			ended <- within(b.world, func() error {
				return Listen(ctx, worldDev, worldPort, func(r Reading) error {
					if all = append(all, r); len(all) == 1 {
						close(first)
					}
					return nil
				})
			})
		}()
		select {
		case <-first:
		case err := <-ended:
			t.Fatal(err)
		}
		var tried Tried
		err = within(s.self.ns, func() (err error) {
			tried, err = Try{Item: it[0], Receiver: b.world4, Node: b.host4, Lease: small, For: time.Second}.Run(ctx)
			return err
		})
		stop()
		if err := errors.Join(err, <-ended, s.close()); err != nil {
			t.Fatal(err)
		}
		w, err := Weigh(all, small)
		t.Logf("%+v: %+v", tried, w)
		if err != nil || tried.Sent.Packets <= w.Received.Packets || tried.Refused != "" || w.Used > 1 {
			t.Errorf("%s: %+v: %+v, %v", name, tried, w, err)
		}
		got, last := all[len(all)-1].From[b.host4], all[len(all)-1].Last
		switch {
		case name == "fragments" && w.Received.Packets > 0:
			t.Errorf("fragments arrive: %+v", w)
		case name == "udp" && (got == 0 || last.Port() < s.self.at.SourcePorts[0] || last.Port() > s.self.at.SourcePorts[1]):
			t.Errorf("%d packets from the host, the last from %s", got, last)
		case name == "many-flows" && w.Received.Packets == 0:
			t.Error("nothing arrives")
		}
	}
}
