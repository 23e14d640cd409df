// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"croft/ebpf"
	slivernet "croft/ebpf/net"
	"croft/lease"
)

// crowd gives a thousand slivers their networks and limits on one node, one
// after the other as the daemon does, and looks at what each took. What is
// available of the machine's memory is read before and after: others' use of it
// in between is in the figure.
func (b *bench) crowd(ctx context.Context) (err error) {
	h := &host{tag: randomTag()}
	defer func() { err = errors.Join(err, h.close()) }()
	n := b.rounds(1000, 50)
	if err := h.openNetwork(ctx, slivernet.MaxPlaces); err != nil {
		return err
	}
	before, err := available()
	if err != nil {
		return err
	}
	var plumbing, limits, raising sample
	var ports []attached
	for i := range n {
		name := fmt.Sprintf("crowd%d", i)
		var at slivernet.Attachment
		err := plumbing.timed(time.Millisecond, func() (err error) {
			at, err = h.network.Add(ctx, slivernet.Sliver{Name: name, Place: i, Egress: sliverRSet[lease.EgressRate], Ingress: sliverRSet[lease.IngressRate]})
			return err
		})
		if err != nil {
			return fmt.Errorf("sliver %d: %w", i, err)
		}
		l := ebpf.Compile(&lease.Lease{RSet: sliverRSet}, at.Addresses, ebpf.Conditions{Deadline: bootClock() + int64(time.Hour), FanOut: 256})
		if err := limits.timed(time.Millisecond, func() error { return h.guard.Attach(ctx, at.Guard, l) }); err != nil {
			return fmt.Errorf("sliver %d: %w", i, err)
		}
		ports = append(ports, attached{at.Guard, l})
		if err := raising.timed(time.Millisecond, func() error { return h.network.Up(ctx, name) }); err != nil {
			return fmt.Errorf("sliver %d: %w", i, err)
		}
	}
	after, err := available()
	if err != nil {
		return err
	}
	turns, atOnce, err := h.attachAgain(ctx, ports)
	if err != nil {
		return err
	}
	what := fmt.Sprintf("%d slivers on one node, each: ", n)
	b.add(plain(what+"network", "ms", plumbing, nil, ""))
	b.add(plain(what+"limits, by "+string(h.guard.Method()), "ms", limits, nil, ""))
	b.add(against(what+"limits, 16 attached at once", "ms", atOnce, "in turn", turns, nil, "48 slivers each way, detached before: the time of all, by their number"))
	b.add(plain(what+"link up", "ms", raising, nil, ""))
	b.add(plain(what+"memory", "KiB", sample{float64(before-after) / float64(n)}, nil, "the machine's available memory before, less after: who else works on it is in the figure"))
	return nil
}

// attached is a sliver's limits and where they are.
type attached struct {
	port   ebpf.Port
	limits ebpf.Limits
}

// attachAgain takes the limits of some slivers away and puts them back, in turn and
// by sixteen at once, and returns what each took in ms.
func (h *host) attachAgain(ctx context.Context, ports []attached) (turns, atOnce sample, err error) {
	ports = ports[:min(len(ports), 48)]
	for range 3 {
		for _, way := range []struct {
			to    *sample
			limit int
		}{{&turns, 1}, {&atOnce, 16}} {
			for _, p := range ports {
				if err := h.guard.Detach(ctx, p.port.Sliver); err != nil {
					return nil, nil, err
				}
			}
			start := time.Now()
			work, ctx := errgroup.WithContext(ctx)
			work.SetLimit(way.limit)
			for _, p := range ports {
				work.Go(func() error { return h.guard.Attach(ctx, p.port, p.limits) })
			}
			if err := work.Wait(); err != nil {
				return nil, nil, err
			}
			*way.to = append(*way.to, time.Since(start).Seconds()*1000/float64(len(ports)))
		}
	}
	return turns, atOnce, nil
}

// available is the machine's memory that could be had, in KiB.
func available() (int64, error) {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	for s := bufio.NewScanner(bytes.NewReader(text)); s.Scan(); {
		if f := strings.Fields(s.Text()); len(f) > 1 && f[0] == "MemAvailable:" {
			return strconv.ParseInt(f[1], 10, 64)
		}
	}
	return 0, errors.New("no MemAvailable in /proc/meminfo")
}
