// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	packetprogram "croft/ebpf/verdict"
	"croft/sandbox/oci"
)

const (
	judgedNet = "198.18.252.0/30"
	// calm is the program of the examples, which looks at each packet's headers and at
	// a connection's first packet for longer.
	calm = "examples/packets/bpf/calm.o"
)

// program is what a packet program of others costs a packet: as the kernel times it, on
// a connection's first packet, and as a sender of datagrams sees it.
func (b *bench) program(ctx context.Context) error {
	found, err := goBench(ctx, b.rounds(9, 3), "ebpf/verdict", "BenchmarkRootProgram", "1000000x", "ns/packet")
	if err != nil {
		return err
	}
	for _, c := range []struct{ name, what string }{
		{"refuse", "packet program, one that does nothing"},
		{"calm", "packet program, that of the examples"},
	} {
		if len(found[c.name]) == 0 || len(found["nothing"]) == 0 {
			return fmt.Errorf("the benchmark of packet programs has no %s", c.name)
		}
		b.add(against(c.what, "ns", found[c.name], "an empty program of the kernel's", found["nothing"], nil, ""))
	}
	return b.judged(ctx)
}

// judged compares what a socket of a sliver's cgroup sends, with the program in force
// there, with what one of no such cgroup does.
func (b *bench) judged(ctx context.Context) (err error) {
	wire, err := newCable(judgedNet)
	if err != nil {
		return err
	}
	defer wire.close()
	h, err := newHamlet(b.croft)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	object, err := os.ReadFile(calm)
	if err != nil {
		return fmt.Errorf("reading the program, from the repository's root: %w", err)
	}
	d, err := h.programs.Load(ctx, object)
	if err == nil {
		err = h.programs.Enforce(&d)
	}
	if err == nil {
		err = h.programs.Begin("bench")
	}
	if err != nil {
		return err
	}
	sink := netip.AddrPortFrom(wire.addrB, 9000)
	reader, err := socket(wire.b.NsHandle, sink, netip.AddrPort{})
	if err != nil {
		return err
	}
	defer unix.Close(reader)
	open := func(port uint16) (fd int, err error) {
		return socket(wire.a.NsHandle, netip.AddrPortFrom(wire.addrA, port), sink)
	}
	free, err := open(9001)
	if err != nil {
		return err
	}
	defer unix.Close(free)
	var held int
	if err := h.within("bench", func() (err error) { held, err = open(9002); return err }); err != nil {
		return err
	}
	defer unix.Close(held)

	var us, them sample
	for i := range b.rounds(25, 7) + 1 {
		for turn := range 2 {
			fd, to := free, &them
			if (turn+i)%2 == 0 {
				fd, to = held, &us
			}
			v, err := pour(ctx, fd, wire.b, time.Duration(b.rounds(400, 200))*time.Millisecond)
			if err != nil {
				return fmt.Errorf("sending past a packet program: %w", err)
			}
			*to = append(*to, v.busy/1e3)
		}
		if i == 0 {
			us, them = nil, nil
		}
	}
	counts, err := h.programs.Counts(d)
	if err != nil {
		return err
	}
	if counts.Seen == 0 || counts.Refused != 0 {
		return fmt.Errorf("the packet program saw %d packets and refused %d", counts.Seen, counts.Refused)
	}
	bare := 1e6 / them.median()
	b.add(against("UDP 64 B past a packet program", "kpps", us, "none", them, nil, fmt.Sprintf(
		"that of the examples, on a veth without a guard; a second of the sender's processor time. A packet takes %s ns, and the program adds %s",
		number(bare), number(1e6/us.median()-bare))))
	return nil
}

// pour sends datagrams of frames of 64 bytes by a socket as fast as one thread can.
func pour(ctx context.Context, fd int, to space, d time.Duration) (flow, error) {
	var stop atomic.Bool
	var wg sync.WaitGroup
	defer func() { stop.Store(true); wg.Wait() }()
	sender := work(&wg, 0, func() {
		for buf := make([]byte, 64-42); !stop.Load(); {
			_, _ = unix.Write(fd, buf) // what does not arrive is not counted
		}
	})
	return rate(ctx, d, func() (uint64, error) { return to.received(ends) }, sender)
}

// A hamlet is the cgroups of slivers without slivers, and the programs that judge there.
type hamlet struct {
	tag, root, top string
	programs       *packetprogram.Programs
}

func newHamlet(croft string) (*hamlet, error) {
	cgroups, err := oci.HostCgroups()
	if err != nil {
		return nil, err
	}
	if cgroups.Layout.Unified == "" {
		return nil, fmt.Errorf("packet programs need cgroup2: %w", errors.ErrUnsupported)
	}
	h := &hamlet{tag: randomTag(), root: cgroups.Layout.Unified}
	h.top = filepath.Join(h.root, "croft-"+h.tag)
	h.programs, err = packetprogram.Open(packetprogram.Config{Tag: h.tag, Parent: h.top, Loader: []string{croft, packetprogram.Command}})
	return h, err
}

// within has this process be in a sliver's cgroup: a socket stays in that in which it
// was made.
func (h *hamlet) within(sliver string, f func() error) error {
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return err
	}
	home := ""
	for l := range strings.Lines(string(own)) {
		if at, ok := strings.CutPrefix(strings.TrimSpace(l), "0::"); ok {
			home = filepath.Join(h.root, at)
		}
	}
	move := func(to string) error {
		return os.WriteFile(filepath.Join(to, "cgroup.procs"), []byte("0"), 0)
	}
	if err := move(filepath.Join(h.top, sliver)); err != nil {
		return fmt.Errorf("entering a sliver's cgroup: %w", err)
	}
	return errors.Join(f(), move(home))
}

func (h *hamlet) close() error {
	h.programs.End("bench")
	err := errors.Join(h.programs.Close(), packetprogram.Destroy("", h.tag))
	for _, dir := range []string{filepath.Join(h.top, "bench"), h.top} {
		if gone := os.Remove(dir); !errors.Is(gone, os.ErrNotExist) {
			err = errors.Join(err, gone)
		}
	}
	return err
}
