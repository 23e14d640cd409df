// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"croft/lease"
	"croft/node/api"
	"croft/node/client"
	"croft/node/keep"
	"croft/node/role"
	"croft/node/slice"
	"croft/sandbox"
	"croft/sandbox/swarm"
)

// pipeTo brings bytes to a node, as to any other; it may be this one.
func pipeTo(d *Daemon, p lease.Principal) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) {
		conn, err := d.deps.Wire.Pipe(ctx, p)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", api.ErrUnreachable, err)
		}
		return conn, nil
	}
}

// sliceMachine is a slice.Run, slice.Renewal or slice.Stop.
type sliceMachine interface {
	Step(now time.Time, in slice.Input) []slice.Effect
	NextWake() (time.Time, bool)
}

// drive runs a machine of the researcher's side to its end: here the researcher is this
// node, under the owner's grant. When ctx ends, what was had is closed.
func (k *charged) drive(ctx context.Context, m sliceMachine) slice.Done {
	return k.driveFor(ctx, m, actWithin)
}

func (k *charged) driveFor(ctx context.Context, m sliceMachine, limit time.Duration) slice.Done {
	within, done := context.WithTimeout(ctx, limit)
	defer done()
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	inputs := make(chan slice.Input, 64)
	over := within.Done()
	in := slice.Input(slice.Start{})
	for {
		for _, e := range m.Step(time.Now(), in) {
			if d, ok := e.(slice.Done); ok {
				return d
			}
			go k.send(work, e, inputs)
		}
		var wake <-chan time.Time
		if at, ok := m.NextWake(); ok {
			wake = time.After(time.Until(at))
		}
		select {
		case in = <-inputs:
		case <-wake:
			in = slice.Tick{}
		case <-over:
			over, in = nil, slice.Abort{}
		}
	}
}

// send does one thing at a node and tells the machine what came of it.
func (k *charged) send(ctx context.Context, e slice.Effect, inputs chan<- slice.Input) {
	var in slice.Input
	switch e := e.(type) {
	case slice.AskHold:
		a, err := k.node(e.Node).Wish(ctx, e.Chain)
		in = answeredBy(e.Node, a, err, func(b []byte) slice.Input {
			return slice.Held{Node: e.Node, Hold: b, Left: time.Duration(a.Left) * time.Second}
		}, func(r lease.Refusal) slice.Input { return slice.Refused{Node: e.Node, Refusal: r} })
	case slice.CommitHold:
		a, err := k.node(e.Node).Commit(ctx, e.Hold)
		in = answeredBy(e.Node, a, err, func(b []byte) slice.Input { return slice.Committed{Node: e.Node, Lease: b} },
			func(r lease.Refusal) slice.Input { return slice.CommitRefused{Node: e.Node, Refusal: r} })
	case slice.CloseClaim:
		a, err := k.node(e.Node).End(ctx, e.Statement)
		switch {
		case err != nil:
			in = troubleWith(e.Node, err)
		case a.Refusal != nil:
			in = slice.Refused{Node: e.Node, Refusal: a.Refusal.Lease()}
		default:
			in = slice.Closed{Node: e.Node, Claim: e.Claim}
		}
	case slice.ActivateLease:
		in = k.activate(ctx, e, func(p slice.Input) { pass(ctx, inputs, p) })
	default:
		return // progress, and records: the watch looks for itself
	}
	pass(ctx, inputs, in)
}

func pass(ctx context.Context, inputs chan<- slice.Input, in slice.Input) {
	select {
	case inputs <- in:
	case <-ctx.Done():
	}
}

func answeredBy(node lease.Principal, a api.Answer, err error, good func([]byte) slice.Input, refused func(lease.Refusal) slice.Input) slice.Input {
	switch {
	case err != nil:
		return troubleWith(node, err)
	case a.Refusal != nil:
		return refused(a.Refusal.Lease())
	case len(a.Statements) == 0:
		return slice.Failed{Node: node, Trouble: slice.Bad, Text: "an empty answer"}
	}
	return good(a.Statements[0])
}

func troubleWith(node lease.Principal, err error) slice.Input {
	trouble := slice.Bad
	switch {
	case errors.Is(err, api.ErrUnreachable):
		trouble = slice.NoPath
	case errors.Is(err, context.DeadlineExceeded):
		trouble = slice.Late
	}
	return slice.Failed{Node: node, Trouble: trouble, Text: err.Error()}
}

// activate has the node get the image from those that have it, then run it.
func (k *charged) activate(ctx context.Context, e slice.ActivateLease, tell func(slice.Input)) slice.Input {
	n := k.node(e.Node)
	if err := k.bring(ctx, n, func(text string) { tell(slice.Progress{Node: e.Node, Text: text}) }); err != nil {
		return slice.ActivateFailed{Node: e.Node, Text: "the image: " + err.Error()}
	}
	a, err := n.Activate(ctx, e.Lease, json.RawMessage(e.Program))
	if err == nil && a.Refusal != nil {
		err = a.Refusal
	}
	if err != nil {
		return slice.ActivateFailed{Node: e.Node, Text: err.Error()}
	}
	tell(slice.Activated{Node: e.Node})
	tick := time.NewTicker(startEvery)
	defer tick.Stop()
	for {
		list, err := n.Slivers(ctx)
		if err != nil {
			return slice.SliverFailed{Node: e.Node, Text: err.Error()}
		}
		for _, s := range list {
			if s.Lease != e.Lease {
				continue
			}
			switch sandbox.State(s.Run) {
			case sandbox.Running, sandbox.Stopped:
				return slice.Running{Node: e.Node, Public: s.Public}
			case sandbox.Failed:
				return slice.SliverFailed{Node: e.Node, Text: s.Reason}
			}
		}
		select {
		case <-ctx.Done():
			return slice.SliverFailed{Node: e.Node, Text: ctx.Err().Error()}
		case <-tick.C:
		}
	}
}

// errNotPassedOn: nobody who has the image gives it away.
var errNotPassedOn = errors.New("it did not come from other nodes")

// bring waits until a node has the image. This node sends none: it may have none.
func (k *charged) bring(ctx context.Context, n *client.Node, progress func(string)) error {
	p := k.standing().Charge.Program
	state, err := n.Fetch(ctx, p.Blob, api.FetchRequest{Size: p.Size, Among: k.holders()})
	tick := time.NewTicker(bringEvery)
	defer tick.Stop()
	bytes := int64(0)
	for err == nil && !state.Done {
		if f := state.Fetch; f != nil && f.Over {
			return fmt.Errorf("%w: %s", errNotPassedOn, f.Error)
		} else if f != nil && f.Bytes > bytes {
			bytes = f.Bytes
			progress(fmt.Sprintf("image %d of %d bytes", bytes, p.Size))
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
		state, err = n.Announce(ctx, p.Blob, p.Size)
	}
	return err
}

// holders are nodes that are likely to have the image: those on which it was run.
func (k *charged) holders() (list []lease.Principal) {
	for _, p := range k.standing().Places {
		list = append(list, p.Node)
	}
	return list[:min(len(list), swarm.MaxNamed)]
}

func (k *charged) record(slivers []slice.Sliver) slice.Record {
	c := k.standing().Charge
	return slice.Record{Slice: c.Slice, Owner: c.Owner, Actor: k.of.d.deps.Key.Principal(), Slivers: slivers}
}

func knownOf(s slice.Sliver) keep.Known {
	return keep.Known{Sliver: s.Sliver, Node: s.Node, Until: s.Until}
}

// renew has slivers run on.
func (k *charged) renew(ctx context.Context, e keep.Renew) keep.Input {
	var out keep.Done
	list := k.at(e.Slivers)
	m, err := slice.NewRenewal(k.record(list), e.Until, lease.RSet{}, k.of.d.deps.Key, rand.Reader)
	if err != nil {
		for _, s := range list {
			out.Missed = append(out.Missed, keep.Miss{Node: s.Node, Sliver: s.Sliver, Why: err.Error()})
		}
		return out
	}
	done := k.drive(ctx, m)
	for _, s := range done.Record.Slivers {
		if s.Lease != k.seen[spot{s.Node, s.Sliver}].Lease {
			out.Renewed = append(out.Renewed, knownOf(s))
		} else {
			out.Missed = append(out.Missed, keep.Miss{Node: s.Node, Sliver: s.Sliver, Why: whyOf(done, s.Name)})
		}
	}
	return out
}

// launch runs new slivers, as many as can be had: each by itself, so that a node which
// is slow spoils no other's. Nothing is renewed meanwhile, so short leases bound it.
func (k *charged) launch(ctx context.Context, e keep.Run) keep.Input {
	within := min(actWithin, time.Duration(k.standing().Charge.Term)*time.Second/4)
	var out keep.Done
	var mu sync.Mutex
	var wait sync.WaitGroup
	for _, n := range e.Nodes {
		at := k.found[n]
		at.Node, at.Name = n, n.Short() // that its refusal is found by
		wait.Go(func() {
			done, err := k.launchAt(ctx, at, e.Until, within)
			if err != nil {
				done.Why = []string{err.Error()}
			}
			mu.Lock()
			defer mu.Unlock()
			out = ranAt(out, n, done)
		})
	}
	wait.Wait()
	return out
}

// ranAt adds what came of running a sliver. A record names a sliver too that would not
// run, and whose close was not confirmed.
func ranAt(out keep.Done, n lease.Principal, done slice.Done) keep.Done {
	if done.Outcome != slice.OK || len(done.Record.Slivers) != 1 {
		out.Missed = append(out.Missed, keep.Miss{Node: n, Why: whyOf(done, n.Short())})
		return out
	}
	out.Ran = append(out.Ran, knownOf(done.Record.Slivers[0]))
	return out
}

func (k *charged) launchAt(ctx context.Context, at slice.Candidate, until int64, within time.Duration) (slice.Done, error) {
	c := k.standing().Charge
	text, err := json.Marshal(c.Program)
	if err != nil {
		return slice.Done{Outcome: slice.Broken}, err
	}
	m, err := slice.New(slice.Plan{Label: c.Slice, Owner: c.Owner, Want: 1, Program: text, Candidates: []slice.Candidate{at},
		Wish: slice.Wish{Pool: c.Pool, RSet: c.RSet, Term: lease.Term{From: time.Now().Unix(), Until: until}, Ports: c.Ports, FanOut: c.FanOut}}, k.of.d.deps.Key, rand.Reader)
	if err != nil {
		return slice.Done{Outcome: slice.Broken}, err
	}
	return k.driveFor(ctx, m, within), nil
}

// close ends slivers that others have replaced.
func (k *charged) close(ctx context.Context, e keep.Close) keep.Input {
	var out keep.Done
	list := k.at(e.Slivers)
	m, err := slice.NewStop(k.record(list), k.of.d.deps.Key)
	if err != nil {
		return out
	}
	done := k.drive(ctx, m)
	for _, s := range list {
		if slices.ContainsFunc(done.Record.Slivers, func(left slice.Sliver) bool { return left.Sliver == s.Sliver && left.Node == s.Node }) {
			out.Missed = append(out.Missed, keep.Miss{Node: s.Node, Sliver: s.Sliver, Why: whyOf(done, s.Name)})
			continue
		}
		out.Closed = append(out.Closed, knownOf(s))
	}
	return out
}

// whyOf is what a machine says of one node.
func whyOf(done slice.Done, name string) string {
	for _, why := range done.Why {
		if rest, ok := strings.CutPrefix(why, name+": "); ok {
			return printableWhy(rest)
		}
	}
	if len(done.Why) > 0 {
		return printableWhy(done.Why[len(done.Why)-1])
	}
	return "not in time"
}

// printableWhy is what others say, as it may be shown.
func printableWhy(s string) string { return role.Printable(s, role.MaxText) }
