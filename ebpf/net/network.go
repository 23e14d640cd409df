// SPDX-License-Identifier: Apache-2.0

package net

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Config says how a node's plumbing is laid.
type Config struct {
	Tag    string // first 6 characters of the node's principal
	Places int    // how many slivers there can be; 0 is DefaultPlaces

	// Uplink4 is the /31 between host and node's namespace; zero: one that the
	// host does not use, the same again after a restart.
	Uplink4 netip.Prefix

	// Outside are interfaces of the host that lead to the world although no
	// default route names them.
	Outside []string

	// Lab are prefixes that are opened though in closed ranges.
	Lab []netip.Prefix

	// Resolver are the node's upstream resolvers; empty: those of the host's
	// resolv.conf.
	Resolver []netip.AddrPort

	Log *slog.Logger // nil: none

	// fault, in tests, makes a named step fail, as if the process died there.
	fault func(step string) error

	lacks map[string]bool // in tests: see parts
}

// Network is the plumbing of one node.
type Network struct {
	plan plan
	cfg  Config
	log  *slog.Logger
	v6   bool

	host, space netns.NsHandle  // where the daemon runs; the node's own
	out, node   *netlink.Handle // netlink in these
	line        wire            // to the node's queues
	ifb         queue           // where there is one
	has         parts

	names   askers // at the resolver
	tenants tenants
	counted counted
	entries uint64 // nf_conntrack_max

	mu     sync.Mutex // one change at a time; guards what follows
	closed bool
	live   ceilings
}

// Open makes the node's namespace with its uplink, or finds and repairs what an
// earlier daemon left. The host is the network namespace of the calling thread.
// What an Open that fails has made stays for the next Open or for [Destroy].
func Open(ctx context.Context, cfg Config) (*Network, error) {
	if err := needRoot(); err != nil {
		return nil, err
	}
	p, err := newPlan(cfg.Tag, cfg.Places)
	if err != nil {
		return nil, err
	}
	if cfg.Uplink4.IsValid() {
		if !cfg.Uplink4.Addr().Is4() || cfg.Uplink4.Bits() != 31 || cfg.Uplink4 != cfg.Uplink4.Masked() {
			return nil, fmt.Errorf("uplink %s, want an IPv4 /31: %w", cfg.Uplink4, ErrConfig)
		}
		p.uplink = cfg.Uplink4
	}
	n := &Network{plan: p, cfg: cfg, log: cfg.Log, host: netns.None(), space: netns.None()}
	if n.log == nil {
		n.log = slog.New(slog.DiscardHandler)
	}
	if err := n.open(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("opening network of node %s: %w", cfg.Tag, err), n.Close())
	}
	return n, nil
}

func (n *Network) open(ctx context.Context) (err error) {
	if n.host, err = netns.Get(); err != nil {
		return err
	}
	if n.out, err = netlink.NewHandleAt(n.host, unix.NETLINK_ROUTE, unix.NETLINK_NETFILTER); err != nil {
		return err
	}
	if n.space, err = ensureNS(n.plan.namespace()); err != nil {
		return err
	}
	if n.node, err = netlink.NewHandleAt(n.space, unix.NETLINK_ROUTE, unix.NETLINK_NETFILTER); err != nil {
		return err
	}
	if n.line, err = newWire(n.space); err != nil {
		return err
	}
	outside, err := n.outside()
	if err != nil {
		return err
	}
	n.v6 = outside.v6

	// What drops stands before what forwards.
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"claim", n.claim},
		{"settings", n.settings},
		{"table", n.measure},
		{"rules", func() error { return load(ctx, n.space, nodeRules(n.plan, n.v6)) }},
		{"source ports", func() error { return load(ctx, n.space, sourceRules(n.plan)) }},
		{"ceilings", func() error { return load(ctx, n.space, liveRules(n.plan)) }},
		{"time-outs", func() error { return set(n.space, timeouts...) }},
		{"loopback", n.loopback},
		{"ifb", n.makeIFB},
		{"host rules", func() error { return load(ctx, n.host, hostRules(n.plan, n.v6, n.entries)) }},
		{"uplink", n.makeUplink},
		{"forwarding", func() error { return n.openHost(outside) }},
		{"published ports", n.republish},
		{"slivers", n.recall},
	} {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := n.fault(step.name); err != nil {
			return err
		}
		if err := step.do(); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return nil
}

// settings of the node's namespace. New interfaces take the default.
func (n *Network) settings() error {
	all := []setting{
		{"ipv4/ip_forward", "1"},
		conf4("all", "rp_filter", "1"), conf4("default", "rp_filter", "1"),
		conf4("all", "send_redirects", "0"), conf4("default", "send_redirects", "0"),
		conf4("all", "accept_redirects", "0"), conf4("default", "accept_redirects", "0"),
		conf6("default", "accept_ra", "0"), conf6("default", "accept_dad", "0"),
		conf6("default", "addr_gen_mode", "1"), conf6("default", "accept_redirects", "0"),
	}
	if n.v6 {
		all = append(all, conf6("all", "disable_ipv6", "0"), conf6("default", "disable_ipv6", "0"),
			conf6("all", "forwarding", "1"))
	} else {
		all = append(all, conf6("default", "disable_ipv6", "1"))
	}
	return set(n.space, all...)
}

// loopback holds the resolver's address.
func (n *Network) loopback() error {
	lo, err := n.node.LinkByName("lo")
	if err != nil {
		return err
	}
	if err := n.node.LinkSetUp(lo); err != nil {
		return err
	}
	return n.node.AddrReplace(lo, &netlink.Addr{IPNet: ipNet(Resolver, 32), Scope: unix.RT_SCOPE_HOST})
}

// Slivers names, sorted, the slivers that have plumbing in the kernel, whole or
// in part.
func (n *Network) Slivers(ctx context.Context) ([]string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.usable(ctx); err != nil {
		return nil, err
	}
	ports, err := n.sliverPorts()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, p := range ports {
		if p.name != "" {
			names = append(names, p.name)
		}
	}
	slices.Sort(names)
	return names, nil
}

func (n *Network) usable(ctx context.Context) error {
	if n.closed {
		return ErrClosed
	}
	return ctx.Err()
}

// Close lets go of the kernel; the plumbing stays and works on.
func (n *Network) Close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil
	}
	n.closed = true
	for _, h := range []*netlink.Handle{n.out, n.node} {
		if h != nil {
			h.Close()
		}
	}
	n.line.close()
	var errs []error
	for _, ns := range []*netns.NsHandle{&n.host, &n.space} {
		if ns.IsOpen() {
			errs = append(errs, ns.Close())
		}
	}
	return errors.Join(errs...)
}
