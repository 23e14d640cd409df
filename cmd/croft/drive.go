// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"croft/lease"
	"croft/node/api"
	"croft/node/client"
	"croft/node/slice"
	"croft/sandbox"
)

// machine is a slice.Run, slice.Renewal or slice.Stop.
type machine interface {
	Step(now time.Time, in slice.Input) []slice.Effect
	NextWake() (time.Time, bool)
}

// driver does what a machine of package slice returns, and tells it what came
// of it.
type driver struct {
	app *app
	target
	program *program // of a run
	began   time.Time
	told    time.Time // when progress was last shown
	show    func(slice.Stage)

	inputs chan slice.Input
	mu     sync.Mutex
	nodes  map[lease.Principal]*client.Node
	feed
}

func (a *app) driver(t target, p *program) *driver {
	d := &driver{app: a, target: t, program: p, began: time.Now(), inputs: make(chan slice.Input, 64),
		nodes: map[lease.Principal]*client.Node{}, feed: newFeed()}
	d.show = d.stage
	return d
}

// drive runs a machine to its end. The first interruption aborts it, which
// closes what was had; the second does not wait for that.
func (d *driver) drive(ctx context.Context, m machine) (slice.Done, error) {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	interrupted := ctx.Done()
	in := slice.Input(slice.Start{})
	for {
		effects := m.Step(time.Now(), in)
		d.gather(effects)
		for _, e := range effects {
			switch e := e.(type) {
			case slice.Stage:
				d.show(e)
			case slice.Keep:
				if err := d.app.keep(e.Record); err != nil {
					return slice.Done{}, err
				}
			case slice.Done:
				d.close()
				return e, nil
			default:
				go d.perform(work, e)
			}
		}
		var wake <-chan time.Time
		if at, ok := m.NextWake(); ok {
			wake = time.After(time.Until(at))
		}
		select {
		case in = <-d.inputs:
		case <-wake:
			in = slice.Tick{}
		case <-interrupted:
			interrupted = nil
			in = slice.Abort{}
			d.app.say("interrupted: closing what was had")
		}
	}
}

// perform sends one thing to a node and reports what it answered.
func (d *driver) perform(ctx context.Context, e slice.Effect) {
	var in slice.Input
	switch e := e.(type) {
	case slice.DrawTicket:
		in = d.draw(ctx, e)
	case slice.AskHold:
		in = d.ask(ctx, e)
	case slice.CommitHold:
		in = d.commit(ctx, e)
	case slice.ActivateLease:
		in = d.activate(ctx, e)
	case slice.CloseClaim:
		in = d.end(ctx, e)
	default:
		return
	}
	d.tell(ctx, in)
}

func (d *driver) tell(ctx context.Context, in slice.Input) {
	select {
	case d.inputs <- in:
	case <-ctx.Done():
	}
}

func (d *driver) draw(ctx context.Context, e slice.DrawTicket) slice.Input {
	chain, err := d.app.purse(ctx, d.key, e.Wish)
	if withheld(err) {
		return slice.Withheld{Node: e.Node, Text: err.Error()}
	}
	if err != nil {
		return failed(e.Node, err)
	}
	return slice.Drawn{Node: e.Node, Chain: chain}
}

func (d *driver) ask(ctx context.Context, e slice.AskHold) slice.Input {
	answer, err := d.node(e.Node).Wish(ctx, e.Chain)
	switch {
	case err != nil:
		return failed(e.Node, err)
	case answer.Refusal != nil:
		d.app.examine(e.Chain, answer)
		return slice.Refused{Node: e.Node, Refusal: answer.Refusal.Lease()}
	case len(answer.Statements) == 0:
		return slice.Failed{Node: e.Node, Trouble: slice.Bad, Text: "an empty answer"}
	}
	return slice.Held{Node: e.Node, Hold: answer.Statements[0], Left: time.Duration(answer.Left) * time.Second}
}

func (d *driver) commit(ctx context.Context, e slice.CommitHold) slice.Input {
	answer, err := d.node(e.Node).Commit(ctx, e.Hold)
	switch {
	case err != nil:
		return failed(e.Node, err)
	case answer.Refusal != nil:
		return slice.CommitRefused{Node: e.Node, Refusal: answer.Refusal.Lease()}
	case len(answer.Statements) == 0:
		return slice.Failed{Node: e.Node, Trouble: slice.Bad, Text: "an empty answer"}
	}
	return slice.Committed{Node: e.Node, Lease: answer.Statements[0]}
}

func (d *driver) end(ctx context.Context, e slice.CloseClaim) slice.Input {
	answer, err := d.node(e.Node).End(ctx, e.Statement)
	switch {
	case err != nil:
		return failed(e.Node, err)
	case answer.Refusal != nil:
		return slice.Refused{Node: e.Node, Refusal: answer.Refusal.Lease()}
	}
	return slice.Closed{Node: e.Node, Claim: e.Claim}
}

// activate has the program's bytes brought, unless the node has them, then has them
// run, and waits until they do.
func (d *driver) activate(ctx context.Context, e slice.ActivateLease) slice.Input {
	n := d.node(e.Node)
	err := d.bring(ctx, n, func(have int64) {
		if 0 < have && have < d.program.Size {
			d.tell(ctx, slice.Progress{Node: e.Node, Text: d.progress(have)})
		}
	})
	if err != nil {
		return slice.ActivateFailed{Node: e.Node, Text: "sending the image: " + err.Error()}
	}
	answer, err := n.Activate(ctx, e.Lease, json.RawMessage(e.Program))
	if err == nil && answer.Refusal != nil {
		err = answer.Refusal
	}
	if err != nil {
		return slice.ActivateFailed{Node: e.Node, Text: err.Error()}
	}
	d.tell(ctx, slice.Activated{Node: e.Node})
	return d.watch(ctx, e, n)
}

// progressEvery is the pace at which a person is told how far an image is.
const progressEvery = 300 * time.Millisecond

// watchEvery is the pace at which a starting sliver is looked at.
const watchEvery = 50 * time.Millisecond

// watch looks at a sliver until it runs or will not.
func (d *driver) watch(ctx context.Context, e slice.ActivateLease, n *client.Node) slice.Input {
	tick := time.NewTicker(watchEvery)
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

func (d *driver) progress(have int64) string {
	rate := float64(have) / max(time.Since(d.began).Seconds(), 0.001)
	return fmt.Sprintf("image %d%% %s/s", have*100/max(d.program.Size, 1), octets(uint64(rate)))
}

// stage prints a line with the time since the start.
func (d *driver) stage(s slice.Stage) {
	if s.Name == "running" && s.Text != "" { // one of many
		if time.Since(d.told) < progressEvery {
			return
		}
		d.told = time.Now()
	}
	if d.app.json {
		enc := json.NewEncoder(d.app.err)
		_ = enc.Encode(map[string]any{"stage": s.Name, "got": s.Got, "want": s.Want, "text": s.Text,
			"seconds": time.Since(d.began).Seconds()}) // talk that cannot be written is lost
		return
	}
	count := fmt.Sprintf("%d/%d", s.Got, s.Want)
	if s.Name == "discover" {
		count = fmt.Sprintf("%d nodes known, %d match", s.Want, s.Got)
		if s.Want == 0 { // nobody was asked who there is
			count = fmt.Sprintf("%d named by tickets", s.Got)
		}
	}
	line := fmt.Sprintf("%5.2fs  %-9s %s  %s", time.Since(d.began).Seconds(), s.Name, count, s.Text)
	d.app.say("%s", strings.TrimRight(line, " "))
}

func (d *driver) node(p lease.Principal) *client.Node {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.nodes[p]
	if n == nil {
		n = d.app.node(d.target, p)
		d.nodes[p] = n
	}
	return n
}

func (d *driver) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, n := range d.nodes {
		n.Close()
	}
}

func failed(node lease.Principal, err error) slice.Input {
	trouble := slice.Bad
	switch {
	case errors.Is(err, api.ErrUnreachable), errors.Is(err, client.ErrNoDaemon):
		trouble = slice.NoPath
	case errors.Is(err, context.DeadlineExceeded):
		trouble = slice.Late
	}
	return slice.Failed{Node: node, Trouble: trouble, Text: plain(err)}
}
