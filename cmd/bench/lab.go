// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"croft/node/client"
	"croft/sim/lab"
)

const (
	labNodes   = 5
	labSlivers = 3
	labStop    = time.Minute // for taking the lab down
)

// labLines brings a lab up and measures in it: idle daemons first, then runs,
// redeems, a program for four, and joining.
func (b *bench) labLines(ctx context.Context) (err error) {
	if err := b.labDown(); err != nil {
		return fmt.Errorf("removing what an earlier run left: %w", err)
	}
	home, err := os.MkdirTemp("", "croft-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(home)
	defer func() { err = errors.Join(err, b.labDown()) }()
	if _, _, err := b.command(ctx, nil, "lab", "--dir", b.lab, "up", "-n", strconv.Itoa(labNodes)); err != nil {
		return err
	}
	l, err := lab.Open(b.lab)
	if err != nil {
		return err
	}
	s, err := l.Status(ctx)
	if err != nil {
		return err
	}
	for _, measure := range []func(context.Context, *lab.Lab, lab.Status) error{
		b.idle,
		func(ctx context.Context, _ *lab.Lab, s lab.Status) error { return b.runs(ctx, s, home) },
		func(ctx context.Context, _ *lab.Lab, s lab.Status) error { return b.redeem(ctx, s) },
		func(ctx context.Context, _ *lab.Lab, s lab.Status) error { return b.swarm(ctx, s, home) },
		b.join, // last: a node that has just come back is not yet found by all
	} {
		if err := measure(ctx, l, s); err != nil {
			return err
		}
	}
	return nil
}

// command runs the product and returns what it printed. Ctrl-C reaches it as a
// request to end, so that it cleans up behind itself.
func (b *bench) command(ctx context.Context, env []string, args ...string) (out, talk []byte, err error) {
	c := exec.CommandContext(ctx, b.croft, args...)
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr, c.Env = &stdout, &stderr, append(os.Environ(), env...)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // the terminal's Ctrl-C is ours to pass on
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) }
	c.WaitDelay = labStop
	if err = c.Run(); err != nil {
		err = fmt.Errorf("croft %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return stdout.Bytes(), stderr.Bytes(), err
}

func (b *bench) labDown() error {
	ctx, cancel := context.WithTimeout(context.Background(), labStop)
	defer cancel()
	if _, err := lab.Open(b.lab); errors.Is(err, lab.ErrNoLab) {
		return nil
	}
	_, _, err := b.command(ctx, nil, "lab", "--dir", b.lab, "down")
	return err
}

// usage is what a daemon has used so far.
type usage struct {
	at    time.Time
	cpu   float64 // seconds
	bytes uint64  // in and out of its lab interface
	rss   float64 // MB
	anon  float64 // MB of it that no file backs
}

func usageOf(n lab.NodeStatus) (u usage, err error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", n.Pid))
	if err != nil {
		return u, err
	}
	// After the command's name, which may hold anything: state is field 3.
	f := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	user, err1 := strconv.ParseFloat(f[11], 64)
	system, err2 := strconv.ParseFloat(f[12], 64)
	u.cpu = (user + system) / 100 // USER_HZ
	status, err3 := os.ReadFile(fmt.Sprintf("/proc/%d/status", n.Pid))
	for l := range strings.Lines(string(status)) {
		var kib float64
		if _, err := fmt.Sscanf(l, "VmRSS: %f kB", &kib); err == nil {
			u.rss = kib * 1024 / 1e6
		}
		if _, err := fmt.Sscanf(l, "RssAnon: %f kB", &kib); err == nil {
			u.anon = kib * 1024 / 1e6
		}
	}
	ns, err4 := netns.GetFromName(n.NetNS)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return u, err
	}
	defer ns.Close()
	h, err := netlink.NewHandleAt(ns)
	if err != nil {
		return u, err
	}
	defer h.Close()
	dev, err := h.LinkByName("eth0")
	if err != nil {
		return u, err
	}
	u.bytes, u.at = dev.Attrs().Statistics.RxBytes+dev.Attrs().Statistics.TxBytes, time.Now()
	return u, nil
}

// idle watches the daemons do nothing.
func (b *bench) idle(ctx context.Context, _ *lab.Lab, s lab.Status) error {
	rest, watch := time.Duration(b.rounds(30, 5))*time.Second, time.Duration(b.rounds(40, 10))*time.Second
	if err := pause(ctx, rest); err != nil {
		return err
	}
	before := make([]usage, len(s.Nodes))
	for i, n := range s.Nodes {
		var err error
		if before[i], err = usageOf(n); err != nil {
			return err
		}
	}
	if err := pause(ctx, watch); err != nil {
		return err
	}
	var rss, anon, cpu, traffic sample
	for i, n := range s.Nodes {
		u, err := usageOf(n)
		if err != nil {
			return err
		}
		took := u.at.Sub(before[i].at).Seconds()
		rss, anon = append(rss, u.rss), append(anon, u.anon)
		cpu = append(cpu, 100*(u.cpu-before[i].cpu)/took)
		traffic = append(traffic, float64(u.bytes-before[i].bytes)/1000/took)
	}
	b.add(plain("idle daemon: memory", "MB", rss, atMost(100), fmt.Sprintf("resident; of it %s MB are the process's own, the rest the binary's pages", number(anon.median()))))
	b.add(plain("idle daemon: CPU", "% of a core", cpu, atMost(1), fmt.Sprintf("over %s, from %s after the lab was up", watch, rest)))
	b.add(plain("idle daemon: traffic", "kB/s", traffic, atMost(20), "in and out of its interface to the lab"))
	return nil
}

// join stops and starts daemons in turn and waits for their first neighbour.
func (b *bench) join(ctx context.Context, l *lab.Lab, s lab.Status) error {
	var whole, inside sample
	for i := range b.rounds(10, 3) {
		n := s.Nodes[1+i%(len(s.Nodes)-1)] // the first is the one that others join by
		if err := l.Stop(ctx, n.Name); err != nil {
			return err
		}
		began := time.Now()
		if err := l.Start(ctx, n.Name); err != nil {
			return err
		}
		way := client.New(n.Socket)
		for {
			st, err := way.Status(ctx)
			if err != nil {
				return err
			}
			if st.Joined {
				whole, inside = append(whole, time.Since(began).Seconds()), append(inside, st.JoinedIn)
				break
			}
			if time.Since(began) > labStop {
				return fmt.Errorf("%s did not join within %s", n.Name, labStop)
			}
			if err := pause(ctx, 5*time.Millisecond); err != nil {
				return err
			}
		}
	}
	b.add(plain("croft up to joined", "s", whole, atMost(2), fmt.Sprintf("from the process's start to its first neighbour, seen from outside; by its own clock, once it listened, %s s", number(inside.median()))))
	return nil
}

// stages of a run, in order, as its JSON lines name them.
var stages = []string{"discover", "hold", "lease", "running"}

// runs has slices of three slivers run with the image present, one after the
// other, and reads when each stage was complete.
func (b *bench) runs(ctx context.Context, s lab.Status, home string) error {
	env := []string{"CROFT_SOCKET=" + s.Nodes[0].Socket, "CROFT_HOME=" + home}
	program := []string{busyboxPath, "--", "busybox", "sleep", "600"}
	one := func(name string, n int) (map[string]float64, float64, error) {
		began := time.Now()
		_, talk, err := b.command(ctx, env, append([]string{"--json", "run", "-n", strconv.Itoa(n), "--name", name}, program...)...)
		whole := time.Since(began).Seconds()
		if err != nil {
			return nil, 0, err
		}
		at, err := complete(talk)
		_, _, gone := b.command(ctx, env, "stop", name)
		return at, whole, errors.Join(err, gone)
	}
	if _, _, err := one("warm", labNodes); err != nil { // brings the image to every node
		return err
	}
	parts := make([]sample, len(stages))
	var running, whole sample
	for i := range b.rounds(20, 5) {
		at, took, err := one(fmt.Sprintf("bench-%d", i), labSlivers)
		if err != nil {
			return err
		}
		last := 0.0
		for j, name := range stages {
			v, ok := at[name]
			if !ok {
				return fmt.Errorf("run told of no stage %q", name)
			}
			parts[j] = append(parts[j], v-last)
			last = v
		}
		running, whole = append(running, last), append(whole, took)
	}
	sum := 0.0
	for _, p := range parts {
		sum += p.median()
	}
	b.add(plain(fmt.Sprintf("run -n %d to running", labSlivers), "s", running, atMost(1.5),
		fmt.Sprintf("the medians of its parts add up to %s s; with the command's own start and end, %s s", number(sum), number(whole.median()))))
	for i, name := range []string{"discover", "hold", "lease", "activate to running"} {
		b.add(plain("  of it: "+name, "s", parts[i], nil, ""))
	}
	return nil
}

// complete reads from a run's talk when each stage was last told of. Lines that
// are no JSON are for people.
func complete(talk []byte) (map[string]float64, error) {
	at := map[string]float64{}
	for text := range bytes.Lines(talk) {
		if !bytes.HasPrefix(text, []byte("{")) {
			continue
		}
		var e struct {
			Stage   string  `json:"stage"`
			Seconds float64 `json:"seconds"`
		}
		if err := json.Unmarshal(text, &e); err != nil {
			return nil, fmt.Errorf("reading a run's stages: %w: %s", err, text)
		}
		if e.Stage != "" {
			at[e.Stage] = e.Seconds
		}
	}
	return at, nil
}
