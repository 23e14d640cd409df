// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"croft/sim/lab"
)

const (
	swarmNodes = labNodes - 1 // all but the way in, whose uplink is the owner's
	swarmImage = 24 << 20     // bytes: seconds on a lab's links
)

// swarm has a program that no node has run on four, passed on among them and sent to each,
// in turns: what the owner's uplink sends of it, and how long it takes until all run.
func (b *bench) swarm(ctx context.Context, s lab.Status, home string) error {
	way := s.Nodes[0]
	env := []string{"CROFT_SOCKET=" + way.Socket, "CROFT_HOME=" + home}
	one := func(name string, options ...string) (copies, seconds float64, err error) {
		program := filepath.Join(home, name)
		if err := padded(program); err != nil {
			return 0, 0, err
		}
		defer os.Remove(program)
		before, err := sentBy(way)
		if err != nil {
			return 0, 0, err
		}
		began := time.Now()
		args := append([]string{"run", "-n", strconv.Itoa(swarmNodes), "--cap", "5mbit,500pps", "--where", "name!=" + way.Name, "--name", name}, options...)
		_, _, err = b.command(ctx, env, append(args, program, "--", "busybox", "sleep", "600")...)
		seconds = time.Since(began).Seconds()
		if err != nil {
			return 0, 0, err
		}
		after, err := sentBy(way)
		_, _, gone := b.command(ctx, env, "stop", name)
		return float64(after-before) / swarmImage, seconds, errors.Join(err, gone)
	}
	var copies, seconds, allCopies, allSeconds sample
	for i := range b.rounds(5, 1) {
		c, t, err := one(fmt.Sprintf("passed-%d", i))
		if err != nil {
			return err
		}
		copies, seconds = append(copies, c), append(seconds, t)
		if c, t, err = one(fmt.Sprintf("sent-%d", i), "--private"); err != nil {
			return err
		}
		allCopies, allSeconds = append(allCopies, c), append(allSeconds, t)
	}
	what := fmt.Sprintf("program of %d MiB to %d nodes", swarmImage>>20, swarmNodes)
	b.add(against(what+": the owner's uplink", "copies", copies, "sent to each", allCopies, nil, "of the program's bytes, all that the way in sent meanwhile; lab links"))
	b.add(against(what+": until all run", "s", seconds, "sent to each", allSeconds, nil, ""))
	return nil
}

// padded writes a static program that nobody has had yet.
func padded(path string) error {
	b, err := os.ReadFile(busyboxPath)
	if err != nil {
		return fmt.Errorf("reading busybox (package busybox-static): %w", err)
	}
	noise := make([]byte, max(0, swarmImage-len(b)))
	_, _ = rand.Read(noise)
	return os.WriteFile(path, append(b, noise...), 0o755)
}

// sentBy is how many bytes a node has sent by its interface to the lab.
func sentBy(n lab.NodeStatus) (uint64, error) {
	ns, err := netns.GetFromName(n.NetNS)
	if err != nil {
		return 0, err
	}
	defer ns.Close()
	h, err := netlink.NewHandleAt(ns)
	if err != nil {
		return 0, err
	}
	defer h.Close()
	dev, err := h.LinkByName("eth0")
	if err != nil {
		return 0, err
	}
	return dev.Attrs().Statistics.TxBytes, nil
}
