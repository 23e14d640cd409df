// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// packet is what a packet costs in the kernel as the kernel times it. It runs
// the benchmark of package ebpf/kernel, which alone loads programs, several
// times over, so that its cases come in turns.
func (b *bench) packet(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "croft-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "kernel.test")
	if out, err := exec.CommandContext(ctx, "go", "test", "-c", "-o", binary, "./ebpf/kernel").CombinedOutput(); err != nil {
		return fmt.Errorf("building the kernel package's benchmark, from the repository's root: %w: %s", err, out)
	}
	found := map[string]*sample{}
	for range b.rounds(9, 3) {
		c := exec.CommandContext(ctx, binary, "-test.run=^$", "-test.bench=BenchmarkRootPacket", "-test.benchtime=5x")
		c.Dir = "ebpf/kernel"
		c.Env = append(os.Environ(), "CROFT_REQUIRE_ROOT=1")
		out, err := c.CombinedOutput()
		if err != nil {
			return fmt.Errorf("running the kernel package's benchmark: %w: %s", err, out)
		}
		for s := bufio.NewScanner(bytes.NewReader(out)); s.Scan(); {
			name, rest, ok := strings.Cut(s.Text(), " ")
			name, mine := strings.CutPrefix(name, "BenchmarkRootPacket/")
			f := strings.Fields(rest)
			i := len(f) - 2
			if !ok || !mine || i < 0 || f[i+1] != "ns/packet" {
				continue
			}
			v, err := strconv.ParseFloat(f[i], 64)
			if err != nil {
				return err
			}
			if at := strings.LastIndexByte(name, '-'); at > 0 {
				name = name[:at]
			}
			if found[name] == nil {
				found[name] = &sample{}
			}
			*found[name] = append(*found[name], v)
		}
	}
	base := found["lookup"]
	if base == nil {
		return fmt.Errorf("the kernel package's benchmark has no lookup")
	}
	most := atMost(6)
	for _, c := range []struct {
		name, what string
		goal       *goal
	}{
		{"guard/egress/udp4", "guard, IPv4 UDP from a sliver", most},
		{"guard/egress/tcp4", "guard, IPv4 TCP from a sliver", most},
		{"guard/egress/udp6", "guard, IPv6 UDP from a sliver", most},
		{"guard/ingress/udp4", "guard, IPv4 UDP to a sliver", most},
		{"guard/dropped/deadline", "guard, dropped", nil},
		{"first/all", "guard, first packet of a flow in 8.6 s", nil},
	} {
		if s := found[c.name]; s != nil {
			b.add(against(c.what, "ns", *s, "no-op with one look-up", *base, c.goal, ""))
		}
	}
	// A check's own cost: the same packet with it and without, in turns.
	all := found["first/all"]
	for _, c := range []struct{ name, what string }{
		{"closed", "closed ranges"}, {"optout", "opt-out"}, {"flows", "new flows and fan-out"}, {"fanout", "fan-out"},
		{"allowance", "packets/s, day's bytes, bit/s"}, {"row", "flow record"},
	} {
		if s := found["first/without/"+c.name]; s != nil && all != nil {
			own := make(sample, len(*s))
			for i := range own {
				own[i] = (*all)[i] - (*s)[i]
			}
			b.add(plain("guard, check: "+c.what, "ns", own, nil, ""))
		}
	}
	return nil
}
