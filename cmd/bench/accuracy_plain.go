// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"

	"github.com/vishvananda/netlink"
)

// A plain world is what is compared with: the sender's device limited by a method
// that everybody knows, a router, and who receives.
//
//	source ─ eth0 ═ r0 ─ router ─ r1 ═ eth0 ─ sink
type plainWorld struct{ source, router, sink space }

func newPlainWorld() (w *plainWorld, err error) {
	w = &plainWorld{}
	for _, s := range []*space{&w.source, &w.router, &w.sink} {
		if *s, err = newSpace(); err != nil {
			return w, errors.Join(err, w.close())
		}
	}
	err = errors.Join(
		newLink(w.source, w.router, ends, "r0", netip.MustParsePrefix("198.18.253.1/30"), netip.MustParsePrefix("198.18.253.2/30")),
		newLink(w.router, w.sink, "r1", ends, netip.MustParsePrefix("198.18.253.5/30"), netip.MustParsePrefix("198.18.253.6/30")),
		within(w.router.NsHandle, func() error { return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0) }))
	for _, e := range []struct {
		s  space
		gw net.IP
	}{{w.source, net.IPv4(198, 18, 253, 2)}, {w.sink, net.IPv4(198, 18, 253, 5)}} {
		if err == nil {
			err = e.s.links.RouteAdd(&netlink.Route{Gw: e.gw, Dst: &net.IPNet{IP: net.IPv4zero, Mask: net.CIDRMask(0, 32)}})
		}
	}
	if err == nil {
		err = single(w.router, "r1")
	}
	if err != nil {
		return w, errors.Join(err, w.close())
	}
	return w, nil
}

func (w *plainWorld) close() error {
	for _, s := range []space{w.source, w.router, w.sink} {
		if s.links != nil {
			s.close()
		}
	}
	return nil
}

func (w *plainWorld) path() path {
	return path{dialer: w.source, listener: w.sink, at: netip.MustParseAddr("198.18.253.6"), into: w.sink, device: ends}
}

// A method limits the source's device to a rate. Each is given as its manual
// does for a rate of what a link carries.
type method struct {
	name string
	set  func(ctx context.Context, w *plainWorld, rate uint64) error
}

var methods = []method{
	{"tc tbf", func(ctx context.Context, w *plainWorld, rate uint64) error {
		return w.tc(ctx, fmt.Sprintf("qdisc replace dev eth0 root handle 1: tbf rate %dbit burst %d latency 50ms", rate, max(rate/8/250, 3028)))
	}},
	{"HTB alone", func(ctx context.Context, w *plainWorld, rate uint64) error {
		return w.tc(ctx, "qdisc replace dev eth0 root handle 1: htb default 1",
			fmt.Sprintf("class replace dev eth0 parent 1: classid 1:1 htb rate %dbit burst %d cburst %d quantum 1514", rate, max(rate/8/250, 3028), max(rate/8/250, 3028)))
	}},
	{"nft limit", func(ctx context.Context, w *plainWorld, rate uint64) error {
		return w.run(ctx, "nft", "-f", "-", fmt.Sprintf("table netdev cap { chain in { type filter hook egress device eth0 priority 0; limit rate over %d bytes/second burst %d bytes drop; }; }", rate/8, max(rate/8/4, 128<<10)))
	}},
}

// clear takes any method away.
func (w *plainWorld) clear(ctx context.Context) {
	_ = w.tc(ctx, "qdisc del dev eth0 root") // what was not there is gone too
	_ = w.run(ctx, "nft", "flush", "ruleset", "")
}

func (w *plainWorld) tc(ctx context.Context, commands ...string) error {
	for _, c := range commands {
		if err := w.run(ctx, "tc", append(strings.Fields(c), "")...); err != nil {
			return err
		}
	}
	return nil
}

// run runs a program in the source's namespace; the last argument is its input.
func (w *plainWorld) run(ctx context.Context, name string, args ...string) error {
	return within(w.source.NsHandle, func() error {
		c := exec.CommandContext(ctx, name, args[:len(args)-1]...)
		c.Stdin = bytes.NewReader([]byte(args[len(args)-1]))
		if out, err := c.CombinedOutput(); err != nil {
			return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, bytes.TrimSpace(out))
		}
		return nil
	})
}
