// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"croft/ebpf"
	"croft/ebpf/kernel"
	slivernet "croft/ebpf/net"
	"croft/lease"
	"croft/sandbox"
	"croft/sandbox/image"
	"croft/sandbox/oci"
	"croft/sandbox/warden"
)

// A host is a node without its daemon: everything that makes a sliver.
type host struct {
	tag, state string
	at         space // what the node takes for the machine's own network
	network    *slivernet.Network
	guard      *kernel.Guard
	rt         *warden.Runtime
	images     *image.Store
	program    sandbox.Program
	runc       oci.Runc
	undo       []func() error
}

// start compares a sliver, from nothing to running with its network, limits,
// layer and warden, with the runtime's bare create and start of the same
// program under the same limits.
func (b *bench) start(ctx context.Context) (err error) {
	h := &host{tag: randomTag()}
	defer func() { err = errors.Join(err, h.close()) }()
	if err := h.open(ctx, b.croft); err != nil {
		return err
	}
	bare, err := h.bare(ctx)
	if err != nil {
		return err
	}
	var whole, network, box, them sample
	for i := range b.rounds(15, 5) + 1 {
		if err := them.timed(time.Millisecond, func() error { return bare.start(ctx) }); err != nil {
			return fmt.Errorf("bare runtime: %w", err)
		}
		if err := h.runc.Delete(ctx, bare.id); err != nil {
			return err
		}
		name := fmt.Sprintf("bench%d", i)
		err := whole.timed(time.Millisecond, func() error {
			var netns string
			err := network.timed(time.Millisecond, func() (err error) { netns, err = h.wire(ctx, name, i%8); return err })
			if err != nil {
				return err
			}
			return box.timed(time.Millisecond, func() error { return h.rt.Start(ctx, h.spec(name, i%8, netns)) })
		})
		err = errors.Join(err, h.rt.Remove(ctx, name), h.network.Remove(ctx, name), h.guard.Detach(ctx, name), ctx.Err())
		if err != nil {
			return fmt.Errorf("sliver %s: %w", name, err)
		}
		if i == 0 { // unpacks the image, loads what is lazy
			whole, network, box, them = nil, nil, nil, nil
		}
	}
	const base = "runc create + start"
	b.add(against("sliver created, limited, started", "ms", whole, base, them, atMost(2.5), ""))
	b.add(against("  of it: network and guard", "ms", network, base, them, nil, ""))
	b.add(against("  of it: warden, layer, sandbox", "ms", box, base, them, nil, ""))
	return nil
}

// wire gives a sliver its network and limits, as the daemon does.
func (h *host) wire(ctx context.Context, name string, place int) (netns string, err error) {
	l := &lease.Lease{RSet: sliverRSet}
	at, err := h.network.Add(ctx, slivernet.Sliver{Name: name, Place: place, Egress: sliverRSet[lease.EgressRate], Ingress: sliverRSet[lease.IngressRate]})
	if err != nil {
		return "", err
	}
	if err := h.guard.Attach(ctx, at.Guard, ebpf.Compile(l, at.Addresses, ebpf.Conditions{Deadline: bootClock() + int64(time.Hour)})); err != nil {
		return "", err
	}
	return at.NetNS, h.network.Up(ctx, name)
}

var sliverRSet = mustRSet("cpu=500 memory=64MiB disk=64MiB pids=32 egress.rate=5mbit ingress.rate=5mbit egress.packets=2000 ingress.packets=2000")

func (h *host) spec(name string, place int, netns string) sandbox.Spec {
	return sandbox.Spec{Sliver: name, Slice: "bench@nobody", Hostname: "bench", Place: place, Program: h.program, RSet: sliverRSet,
		NetNS: netns, Deadline: bootClock() + int64(time.Hour)}
}

func (h *host) open(ctx context.Context, croft string) (err error) {
	if h.state, err = os.MkdirTemp("/var/lib", "croft-bench-"); err != nil {
		return err
	}
	h.undo = append(h.undo, func() error { return os.RemoveAll(h.state) })
	if h.images, err = image.Open(filepath.Join(h.state, "images"), 1<<30); err != nil {
		return err
	}
	if err := h.store(ctx); err != nil {
		return err
	}
	if h.runc, err = oci.Find(ctx, filepath.Join(filepath.Dir(croft), "runc")); err != nil {
		return err
	}
	h.rt, err = warden.Open(ctx, warden.Config{State: h.state, Tag: h.tag, Runc: h.runc.Path, Warden: []string{croft, "warden"}, Images: h.images})
	if err != nil {
		return err
	}
	h.undo = append(h.undo, h.closeRuntime)
	return h.openNetwork(ctx, 8)
}

// openNetwork makes the part of a node that packets see.
func (h *host) openNetwork(ctx context.Context, places int) (err error) {
	if h.at, err = newSpace(); err != nil {
		return err
	}
	h.undo = append(h.undo, func() error { h.at.close(); return nil })
	if err := h.uplink(); err != nil {
		return err
	}
	h.undo = append(h.undo, func() error {
		return within(h.at.NsHandle, func() error { return slivernet.Destroy(context.Background(), h.tag) })
	})
	err = within(h.at.NsHandle, func() (err error) {
		h.network, err = slivernet.Open(ctx, slivernet.Config{Tag: h.tag, Places: places})
		return err
	})
	if err != nil {
		return err
	}
	h.undo = append(h.undo, h.network.Close)
	if h.guard, err = kernel.Open(kernel.Config{Tag: h.tag}); err != nil {
		return err
	}
	h.undo = append(h.undo, func() error { return errors.Join(h.guard.Close(), kernel.Destroy("", h.tag)) })
	return nil
}

// store puts busybox where programs are.
func (h *host) store(ctx context.Context) error {
	busybox, err := os.ReadFile(busyboxPath)
	if err != nil {
		return fmt.Errorf("reading busybox (package busybox-static): %w", err)
	}
	h.program = sandbox.Program{Kind: sandbox.Binary, Blob: sha256.Sum256(busybox), Size: int64(len(busybox)), Args: []string{"busybox", "sleep", "1000"}}
	if _, err := h.images.Begin(h.program.Blob, h.program.Size); err != nil {
		return err
	}
	if _, err := h.images.Append(h.program.Blob, 0, busybox); err != nil {
		return err
	}
	return h.images.Finish(ctx, h.program.Blob)
}

const busyboxPath = "/bin/busybox"

// uplink gives the space a way to nowhere, which a node's network wants to see.
func (h *host) uplink() error {
	err := h.at.links.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "wan0", TxQLen: 1000}, PeerName: "out0"})
	if err != nil {
		return err
	}
	for _, name := range []string{"wan0", "out0"} {
		l, err := h.at.links.LinkByName(name)
		if err == nil {
			err = h.at.links.LinkSetUp(l)
		}
		if err != nil {
			return err
		}
		if name == "wan0" {
			err = errors.Join(
				h.at.links.AddrAdd(l, &netlink.Addr{IPNet: &net.IPNet{IP: net.IPv4(192, 0, 2, 1), Mask: net.CIDRMask(24, 32)}}),
				h.at.links.RouteAdd(&netlink.Route{LinkIndex: l.Attrs().Index, Gw: net.IPv4(192, 0, 2, 2)}))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (h *host) closeRuntime() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	list, err := h.rt.List(ctx)
	for _, s := range list {
		err = errors.Join(err, h.rt.Remove(ctx, s.Sliver))
	}
	return errors.Join(err, h.rt.Close())
}

func (h *host) close() (err error) {
	for _, f := range slices.Backward(h.undo) {
		err = errors.Join(err, f())
	}
	return err
}

// A bare is one bundle for the runtime alone: the same root, program and
// limits, with a network of nothing but lo.
type bare struct {
	*host
	id, bundle string
	null       *os.File
}

func (h *host) bare(ctx context.Context) (*bare, error) {
	b := &bare{host: h, id: "bare"}
	top := "/run/croft-" + h.tag + "-bare" // a short path that the sliver's users may pass
	root := filepath.Join(top, "root")
	b.bundle, h.runc.Root = filepath.Join(top, "bundle"), filepath.Join(top, "runc")
	h.undo = append(h.undo, func() error { return os.RemoveAll(top) })
	for _, dir := range []string{top, root, b.bundle, h.runc.Root} {
		if err := errors.Join(os.MkdirAll(dir, 0o711), os.Chmod(dir, 0o711)); err != nil {
			return nil, err
		}
	}
	const place = 9
	s := h.spec(b.id, place, "")
	s.RSet[lease.Disk] = 0 // the layer is the warden's work
	from, err := h.images.Root(ctx, s.Program, sandbox.UIDBase(place))
	if err != nil {
		return nil, err
	}
	if err := image.Mount(from.Path, root, sandbox.UIDBase(place)); err != nil {
		return nil, err
	}
	h.undo = append(h.undo, func() error { return unix.Unmount(root, unix.MNT_DETACH) })
	cgroups, err := oci.HostCgroups()
	if err != nil {
		return nil, err
	}
	about := cgroups.Host(h.tag)
	about.Root, about.Files = root, b.bundle
	spec := sandbox.Bundle(s, about)
	// The node's own files have nothing to lie on in a bare root.
	spec.Mounts = slices.DeleteFunc(spec.Mounts, func(m specs.Mount) bool { return filepath.Dir(m.Destination) == "/etc" })
	config, err := json.Marshal(spec)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(b.bundle, "config.json"), config, 0o600); err != nil {
		return nil, err
	}
	if b.null, err = os.OpenFile(os.DevNull, os.O_RDWR, 0); err != nil {
		return nil, err
	}
	h.undo = append(h.undo, func() error {
		late, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		return errors.Join(h.runc.Delete(late, b.id), cgroups.Remove(sandbox.Cgroup(h.tag, b.id)), b.null.Close())
	})
	return b, nil
}

func (b *bare) start(ctx context.Context) error {
	err := b.runc.Create(ctx, oci.Create{ID: b.id, Bundle: b.bundle, PidFile: filepath.Join(b.bundle, "pid"), Stdout: b.null, Stderr: b.null})
	if err != nil {
		return err
	}
	return b.runc.Start(ctx, b.id)
}
