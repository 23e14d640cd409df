// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"croft/ebpf/audit/store"
	"croft/ebpf/kernel"
	slivernet "croft/ebpf/net"
	programs "croft/ebpf/verdict"
	"croft/lease/sign"
	"croft/node/api"
	"croft/node/door"
	"croft/sandbox"
	"croft/sandbox/image"
	"croft/sandbox/oci"
	"croft/sandbox/warden"
)

// machineClock is the clock of this machine.
type machineClock struct{}

func (machineClock) Wall() time.Time { return time.Now() }

func (machineClock) Boot() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		panic(err) // every Linux since 2.6.39 has it
	}
	return ts.Nano()
}

// Node is a daemon on a real machine, with what it opened.
type Node struct {
	*Daemon
	open closers
}

// closers are closed last to first.
type closers []func() error

func (c *closers) add(f func() error) { *c = append(*c, f) }

func (c closers) close() error {
	var errs []error
	for i := len(c) - 1; i >= 0; i-- {
		errs = append(errs, c[i]())
	}
	return errors.Join(errs...)
}

// Start makes a node on this machine: everything is real. A machine that lacks
// something becomes a visitor, and the node's status says why.
func Start(ctx context.Context, cfg Config, log *slog.Logger) (_ *Node, err error) {
	n := &Node{}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.open.close())
		}
	}()
	if err := os.MkdirAll(cfg.State, 0o755); err != nil {
		return nil, fmt.Errorf("%w: state directory: %w", ErrConfig, err)
	}
	key, err := NodeKey(cfg.State)
	if err != nil {
		return nil, err
	}
	// The journal's lock comes first: a second daemon on this state must not
	// touch what the first one runs.
	first, records, err := openJournal(cfg.State)
	if err != nil {
		return nil, err
	}
	n.open.add(first.Close)
	deps := Deps{Key: key, Clock: machineClock{}, Log: log, Own: isOwn,
		Socket: func() (net.Listener, error) { return listenUnix(Socket(cfg.State)) },
		OpenJournal: func() (OpenJournal, [][]byte, error) {
			if j := first; j != nil {
				first = nil
				return j, records, nil
			}
			return openJournal(cfg.State)
		}}
	why := []string{"the configuration says so"}
	if !cfg.Visitor {
		if why = missing(Doctor(cfg)); len(why) == 0 {
			if deps.Hosting, err = n.host(ctx, cfg, key, Tag(key.Principal()), log); err != nil {
				return nil, err
			}
		}
	}
	o := newOverlay(cfg, &deps)
	if err := n.listen(o, cfg, &deps); err != nil {
		return nil, err
	}
	if err := n.join(ctx, cfg, &deps, o); err != nil {
		return nil, err
	}
	if n.Daemon, err = New(cfg, deps, why); err != nil {
		return nil, err
	}
	return n, nil
}

// Run serves until ctx ends and closes what Start opened. Slivers run on.
func (n *Node) Run(ctx context.Context) error {
	return errors.Join(n.Daemon.Run(ctx), n.open.close())
}

// Greeting is what a person is told at the start.
func (n *Node) Greeting() api.Status {
	return api.Status{Node: n.deps.Key.Principal(), Name: n.cfg.Name, Addrs: n.deps.Wire.Addrs(),
		Reach: n.deps.Reach.Reach(), Hosting: n.deps.Hosting != nil, Why: n.why, Free: n.inForce().Capacity}
}

// host opens everything that slivers need.
func (n *Node) host(ctx context.Context, cfg Config, key *sign.Key, tag string, log *slog.Logger) (*Hosting, error) {
	h := &Hosting{Doors: door.DirOf(tag)}
	images, err := image.Open(filepath.Join(cfg.State, "images"), cfg.Bounds.Blobs)
	if err != nil {
		return nil, err
	}
	h.Blobs = images
	network, err := slivernet.Open(ctx, slivernet.Config{Tag: tag, Places: cfg.Bounds.Places, Lab: cfg.Open,
		Outside: outside(cfg), Resolver: cfg.Resolver, Log: log})
	if err != nil {
		return nil, err
	}
	h.Network, h.Taps = network, taps{network}
	n.open.add(network.Close)
	// The node's own addresses are closed by the host's rules, which let leased
	// public ports through.
	guard, err := kernel.Open(kernel.Config{Tag: tag, Opened: cfg.Open, Resolvers: []netip.Addr{slivernet.Resolver}})
	if err != nil {
		return nil, err
	}
	h.Guard = guard
	n.open.add(guard.Close)
	runc, err := FindRuntime(cfg.Runtime)
	if err != nil {
		return nil, err
	}
	wardens, err := warden.Open(ctx, warden.Config{State: cfg.State, Tag: tag, Runc: runc.Path,
		Warden: []string{"/proc/self/exe", "warden"}, Images: images, Log: log})
	if err != nil {
		return nil, err
	}
	h.Runtime = wardens
	n.open.add(wardens.Close)
	if groups, err := oci.HostCgroups(); err == nil && groups.Layout.Unified != "" {
		judges, err := programs.Open(programs.Config{Tag: tag, Parent: filepath.Join(groups.Layout.Unified, sandbox.Parent(tag)), Loader: []string{"/proc/self/exe", programs.Command}, Log: log})
		if err == nil {
			h.Programs = judges
			n.open.add(judges.Close)
		} else { // no sliver ends for it; nor may a program judge on that nobody can take away
			log.Error("no packet programs are taken", "err", errors.Join(err, programs.Destroy("", tag)))
		}
	}
	record, err := store.Open(filepath.Join(cfg.State, "audit"), store.Options{Node: key.Principal(), Budget: cfg.Bounds.Audit, Span: cfg.Bounds.Segment})
	if err != nil {
		return nil, err
	}
	h.Audit, h.Log = record, record
	n.open.add(record.Close)
	dns, stop := context.WithCancel(context.WithoutCancel(ctx))
	served := make(chan error, 1)
	go func() { served <- network.ServeDNS(dns, guard) }()
	n.open.add(func() error { stop(); return ignoreCancel(<-served) })
	return h, nil
}

func ignoreCancel(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// outside are the interfaces that lead to the lab's fabric, which no default
// route names.
func outside(cfg Config) []string {
	if cfg.Profile != ProfileLab {
		return nil
	}
	return []string{labInterface}
}

// labInterface is a lab node's link to its site.
const labInterface = "eth0"

// isOwn reports whether an interface of this machine has the address.
func isOwn(a netip.Addr) bool {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return false // then nothing is exact
	}
	for _, own := range addrs {
		if p, err := netip.ParsePrefix(own.String()); err == nil && p.Addr().Unmap() == a.Unmap() {
			return true
		}
	}
	return false
}
