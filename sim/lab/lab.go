// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os/exec"
	"path/filepath"
	"sort"
	"syscall"
	"time"
)

// Lab is a lab on this machine, made by this process or another.
type Lab struct{ dir string }

// Open finds the lab in a directory.
func Open(dir string) (*Lab, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if _, err := load(dir); err != nil {
		return nil, err
	}
	return &Lab{dir: dir}, nil
}

// Dir is the lab's directory.
func (l *Lab) Dir() string { return l.dir }

// Status is what there is and what of it is running.
type Status struct {
	Name    string       `json:"name"`
	Dir     string       `json:"dir"`
	Nodes   []NodeStatus `json:"nodes"`
	Outside netip.Addr   `json:"outside"`
	Relay   bool         `json:"relay"` // is running
	Traffic Traffic      `json:"traffic"`
	Paths   []Path       `json:"paths"`
}

// NodeStatus is one node of a Status.
type NodeStatus struct {
	Name      string     `json:"name"`
	Site      string     `json:"site"`
	Address   netip.Addr `json:"address"`
	NAT       NAT        `json:"nat,omitempty"`    // of its site
	Outside   netip.Addr `json:"outside,omitzero"` // what others see of it, behind NAT
	NetNS     string     `json:"netns"`
	State     string     `json:"state"`  // directory of the daemon
	Socket    string     `json:"socket"` // of the daemon's API
	Log       string     `json:"log"`
	Pid       int        `json:"pid"` // 0: not running
	Ready     bool       `json:"ready"`
	Principal string     `json:"principal,omitempty"` // if ready
}

// Path is the distance between two sites, one way.
type Path struct {
	From   string        `json:"from"`
	To     string        `json:"to"`
	OneWay time.Duration `json:"one_way_ns"`
}

// Status looks at the lab. What does not answer is not ready; that is no error.
func (l *Lab) Status(ctx context.Context) (Status, error) {
	r, err := load(l.dir)
	if err != nil {
		return Status{}, err
	}
	s := Status{Name: r.Plan.Name, Dir: l.dir, Relay: r.Relay.alive()}
	s.Traffic, _ = traffic(ctx, l.dir)
	for _, n := range r.Plan.Nodes {
		one := NodeStatus{Name: n.Name, Site: n.Site, Address: n.Address, NetNS: n.NetNS,
			State: n.Dir, Socket: n.socket(), Log: n.log()}
		if s, _ := r.Plan.site(n.Site); s.NAT.translates() {
			one.NAT, one.Outside = s.NAT, s.Gateway
		}
		if p := r.Daemons[n.Name]; p.alive() {
			one.Pid = p.Pid
			if answer, err := ask(ctx, n.socket()); err == nil {
				one.Ready, one.Principal = true, answer.Principal
			}
		}
		s.Nodes = append(s.Nodes, one)
	}
	for i, from := range r.Plan.Sites {
		s.Traffic.Lost.Queued += overrun(from)
		if from.Name == outsideName {
			s.Outside = from.Gateway
		}
		for j, to := range r.Plan.Sites {
			if i != j && j < len(from.OneWay) {
				s.Paths = append(s.Paths, Path{from.Name, to.Name, from.OneWay[j].duration()})
			}
		}
	}
	sort.SliceStable(s.Paths, func(i, j int) bool { return s.Paths[i].OneWay < s.Paths[j].OneWay })
	return s, ctx.Err()
}

// IO is what a command reads and writes; nil is nothing.
type IO struct {
	In       io.Reader
	Out, Err io.Writer
}

// Exec runs a command in the network namespace of a node, of a site's router
// ("uni-a") or of "outside", and returns its exit status; -1 if a signal ended
// it. Only the network is the node's: files and processes are the host's.
func (l *Lab) Exec(ctx context.Context, where string, argv []string, streams IO) (int, error) {
	if len(argv) == 0 {
		return -1, errors.New("exec: no command")
	}
	r, err := load(l.dir)
	if err != nil {
		return -1, err
	}
	ns, err := r.Plan.netns(where)
	if err != nil {
		return -1, err
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = streams.In, streams.Out, streams.Err
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopGrace
	if err := within(ns, cmd.Start); err != nil {
		return -1, fmt.Errorf("starting %s at %s: %w", argv[0], where, err)
	}
	err = cmd.Wait()
	var status *exec.ExitError
	if errors.As(err, &status) && ctx.Err() == nil {
		return status.ExitCode(), nil
	}
	if err != nil {
		return -1, fmt.Errorf("running %s at %s: %w", argv[0], where, errors.Join(ctx.Err(), err))
	}
	return 0, nil
}

// Start starts a node's daemon again, as Up configured it, and returns when it
// answers.
func (l *Lab) Start(ctx context.Context, name string) error {
	var n node
	var p process
	err := l.change(ctx, name, func(r *record, at node) (err error) {
		if n = at; r.Daemons[name].alive() {
			return ErrRunning
		}
		p, err = r.launch(at)
		r.Daemons[name] = p
		return err
	})
	if err != nil {
		return fmt.Errorf("starting %s: %w", name, err)
	}
	_, err = ready(ctx, n, p)
	return err
}

// Stop ends a node's daemon politely, and by force after ten seconds. Its
// slivers stay: see DownOptions.Destroy.
func (l *Lab) Stop(ctx context.Context, name string) error {
	return l.end(ctx, "stopping", name, stopGrace)
}

// Kill ends a node's daemon at once, as a crash would.
func (l *Lab) Kill(ctx context.Context, name string) error {
	return l.end(ctx, "killing", name, 0)
}

func (l *Lab) end(ctx context.Context, doing, name string, grace time.Duration) error {
	err := l.change(ctx, name, func(r *record, _ node) error {
		if !r.Daemons[name].alive() {
			return ErrNotRunning
		}
		return r.Daemons[name].end(ctx, grace)
	})
	if err != nil {
		return fmt.Errorf("%s %s: %w", doing, name, err)
	}
	return nil
}

// change does something to a node with the lock held, and saves the record.
func (l *Lab) change(ctx context.Context, name string, do func(*record, node) error) error {
	if _, err := load(l.dir); err != nil {
		return err
	}
	unlock, err := lock(ctx, l.dir)
	if err != nil {
		return err
	}
	defer unlock()
	r, err := load(l.dir)
	if err != nil {
		return err
	}
	n, err := r.Plan.node(name)
	if err != nil {
		return err
	}
	return errors.Join(do(r, n), r.save(l.dir))
}
