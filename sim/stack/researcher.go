// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"croft/lease"
	"croft/lease/offer"
	"croft/lease/sign"
	"croft/node/api"
	"croft/node/client"
	"croft/node/daemon"
	"croft/node/slice"
	"croft/sandbox"
	"croft/sim/report"
	"croft/sim/scenario"
)

// researcher has a slice, as somebody at `croft run` does: beside a node, which is
// the way in, at a machine that no fault strikes. What is said to nodes goes through
// that node's pipes, in Noise channels.
type researcher struct {
	s     *Stack
	spec  *scenario.Slice
	key   *sign.Key
	turn  turn // one machine at a time
	began time.Duration

	mu      sync.Mutex // guards what follows
	home    *node      // the way in; when it is gone, another
	nodes   map[lease.Principal]*client.Node
	record  slice.Record
	topics  []lease.Topic // of the slice's own record, of which
	said    uint64        // was the last sequence
	whole   time.Duration // when all of it ran
	outcome string
	why     []string
}

// wisher is a slice.Run, Renewal or Stop.
type wisher interface {
	Step(now time.Time, in slice.Input) []slice.Effect
	NextWake() (time.Time, bool)
}

// program is what slivers run.
func program(spec *scenario.Slice) ([]byte, error) {
	args := []string{"probe"}
	if spec.Serves != "" {
		args = serving(spec.Serves)
	}
	return json.Marshal(sandbox.Program{Kind: sandbox.Binary, Blob: lease.Digest{1}, Size: imageSize, Args: args})
}

// slice begins a slice.
func (s *Stack) slice(spec *scenario.Slice) {
	r := &researcher{s: s, spec: spec, key: keyOf(s.scn.Seed, "owner of "+spec.Name), began: s.now(), turn: newTurn(), nodes: map[lease.Principal]*client.Node{}}
	s.mu.Lock()
	s.slices[spec.Name] = r
	s.inOrder = append(s.inOrder, r)
	s.mu.Unlock()
	m, err := r.plan()
	if err != nil {
		r.settle(err.Error(), nil)
		return
	}
	r.drive(m)
}

// plan finds candidates as the command does. The way in is none: a pipe to itself is
// a socket of the machine, which virtual time does not know.
func (r *researcher) plan() (wisher, error) {
	home := r.beside()
	if home == nil {
		return nil, errors.New("there is no node to ask")
	}
	rset, err := lease.ParseRSet(r.spec.RSet)
	if err != nil {
		return nil, err
	}
	deps := r.way()
	if deps == nil {
		return nil, errors.New("the way in is down")
	}
	query := r.spec.Where
	if r.spec.Spread != "" {
		query += " spread by " + r.spec.Spread
	}
	ctx, cancel := context.WithTimeout(context.Background(), findLimit)
	defer cancel()
	res, err := deps.Discovery.Find(ctx, offer.FindRequest{Query: strings.TrimSpace(query), View: true, Enough: r.spec.Nodes})
	if err != nil {
		return nil, fmt.Errorf("finding nodes: %w", err)
	}
	runs, err := program(r.spec)
	if err != nil {
		return nil, fmt.Errorf("saying what to run: %w", err)
	}
	at := time.Now().Unix()
	plan := slice.Plan{Label: r.spec.Name, Want: r.spec.Nodes, Partial: r.spec.Partial, Known: res.Known, Program: runs,
		Wish: slice.Wish{Pool: lease.PoolCommons, RSet: rset, Term: lease.Term{From: at, Until: at + int64(r.spec.Term.Seconds())}}}
	for _, f := range res.Offers {
		if f.Offer.Node != home.key.Principal() {
			plan.Candidates = append(plan.Candidates, slice.Candidate{Node: f.Offer.Node, Name: f.Offer.Display(), Addrs: f.Offer.Addrs})
		}
	}
	return slice.New(plan, r.key, rand.Reader)
}

// way is what the node beside the researcher has; nil: it is going down.
func (r *researcher) way() *daemon.Deps {
	if n := r.beside(); n != nil {
		return n.way()
	}
	return nil
}

// beside is the node by which the researcher reaches the others; nil: there is none.
func (r *researcher) beside() *node {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.home == nil || !r.home.isUp() {
		r.home = r.s.anyPresent()
	}
	return r.home
}

// renew and stop act on what is kept of a slice.
func (s *Stack) renew(do *scenario.Renew) {
	s.again(do.Name, func(r *researcher, kept slice.Record) (wisher, error) {
		return slice.NewRenewal(kept, time.Now().Unix()+int64(do.For.Seconds()), lease.RSet{}, r.key, rand.Reader)
	})
}

func (s *Stack) stop(do *scenario.Stop) {
	s.again(do.Name, func(r *researcher, kept slice.Record) (wisher, error) { return slice.NewStop(kept, r.key) })
}

func (s *Stack) again(name string, make func(*researcher, slice.Record) (wisher, error)) {
	s.mu.Lock()
	r := s.slices[name]
	s.mu.Unlock()
	if r == nil {
		return
	}
	r.mu.Lock()
	kept := r.record
	r.mu.Unlock()
	if len(kept.Slivers) == 0 {
		return
	}
	m, err := make(r, kept)
	if err != nil {
		s.fail(fmt.Errorf("slice %s: %w", name, err))
		return
	}
	r.drive(m)
}

// drive runs a machine to its end, or to that of the run.
func (r *researcher) drive(m wisher) {
	defer r.turn.take()()
	defer r.hangUp()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	inputs := make(chan slice.Input, 64)
	in := slice.Input(slice.Start{})
	for {
		for _, e := range m.Step(time.Now(), in) {
			switch e := e.(type) {
			case slice.Keep:
				r.mu.Lock()
				r.record = e.Record
				r.mu.Unlock()
			case slice.Done:
				r.settle(e.Outcome.String(), e.Why)
				return
			case slice.AskHold, slice.CommitHold, slice.ActivateLease, slice.CloseClaim:
				go func() {
					for _, in := range r.perform(ctx, e) {
						select {
						case inputs <- in:
						case <-ctx.Done():
						}
					}
				}()
			}
		}
		wait := beat
		if at, ok := m.NextWake(); ok {
			wait = max(time.Until(at), 0)
		}
		select {
		case in = <-inputs:
		case <-time.After(wait):
			in = slice.Tick{}
		}
		if r.s.over() {
			return
		}
	}
}

// settle notes how it ended, the first time.
func (r *researcher) settle(outcome string, why []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.outcome == "" {
		r.outcome, r.why, r.whole = outcome, why, r.s.now()
	}
}

// perform sends one thing to a node and returns what it answered.
func (r *researcher) perform(ctx context.Context, e slice.Effect) []slice.Input {
	switch e := e.(type) {
	case slice.AskHold:
		answer, err := r.node(e.Node).Wish(ctx, e.Chain)
		r.s.figures.Lock()
		r.s.figures.wishes.Add(r.s.now(), 1)
		r.s.figures.Unlock()
		switch {
		case err != nil:
			return one(failed(e.Node, err))
		case answer.Refusal != nil:
			refusal := answer.Refusal.Lease()
			r.s.refused(&refusal)
			return one(slice.Refused{Node: e.Node, Refusal: refusal})
		case len(answer.Statements) == 0:
			return one(slice.Failed{Node: e.Node, Trouble: slice.Bad, Text: "an empty answer"})
		}
		r.s.granted(e.Node, answer.Statements)
		return one(slice.Held{Node: e.Node, Hold: answer.Statements[0], Left: time.Duration(answer.Left) * time.Second})
	case slice.CommitHold:
		answer, err := r.node(e.Node).Commit(ctx, e.Hold)
		switch {
		case err != nil:
			return one(failed(e.Node, err))
		case answer.Refusal != nil:
			return one(slice.CommitRefused{Node: e.Node, Refusal: answer.Refusal.Lease()})
		case len(answer.Statements) == 0:
			return one(slice.Failed{Node: e.Node, Trouble: slice.Bad, Text: "an empty answer"})
		}
		r.s.told(e.Node, answer.Statements)
		return one(slice.Committed{Node: e.Node, Lease: answer.Statements[0]})
	case slice.CloseClaim:
		answer, err := r.node(e.Node).End(ctx, e.Statement)
		switch {
		case err != nil:
			return one(failed(e.Node, err))
		case answer.Refusal != nil:
			return one(slice.Refused{Node: e.Node, Refusal: answer.Refusal.Lease()})
		}
		return one(slice.Closed{Node: e.Node, Claim: e.Claim})
	case slice.ActivateLease:
		answer, err := r.node(e.Node).Activate(ctx, e.Lease, json.RawMessage(e.Program))
		if err == nil && answer.Refusal != nil {
			err = answer.Refusal
		}
		if err != nil {
			return one(slice.ActivateFailed{Node: e.Node, Text: err.Error()})
		}
		return []slice.Input{slice.Activated{Node: e.Node}, r.watch(ctx, e)}
	}
	return nil
}

func one(in slice.Input) []slice.Input { return []slice.Input{in} }

// watchEvery is the pace at which a starting sliver is looked at: the command's.
const watchEvery = 50 * time.Millisecond

// watch looks at a sliver until it runs or will not.
func (r *researcher) watch(ctx context.Context, e slice.ActivateLease) slice.Input {
	for {
		list, err := r.node(e.Node).Slivers(ctx)
		if err != nil {
			return slice.SliverFailed{Node: e.Node, Text: err.Error()}
		}
		for _, s := range list {
			if s.Lease != e.Lease {
				continue
			}
			switch sandbox.State(s.Run) {
			case sandbox.Running, sandbox.Stopped:
				return slice.Running{Node: e.Node}
			case sandbox.Failed:
				return slice.SliverFailed{Node: e.Node, Text: s.Reason}
			}
		}
		select {
		case <-ctx.Done():
			return slice.SliverFailed{Node: e.Node, Text: ctx.Err().Error()}
		case <-time.After(watchEvery):
		}
	}
}

// node is the channel to a node, through the way in.
func (r *researcher) node(p lease.Principal) *client.Node {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.nodes[p]
	if n == nil {
		n = client.Over(p, r.key, func(ctx context.Context) (net.Conn, error) {
			deps := r.way()
			if deps == nil {
				return nil, fmt.Errorf("the way in is down: %w", api.ErrUnreachable)
			}
			return deps.Wire.Pipe(ctx, p)
		})
		r.nodes[p] = n
	}
	return n
}

// hangUp closes the channels.
func (r *researcher) hangUp() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, n := range r.nodes {
		n.Close()
	}
	r.nodes = map[lease.Principal]*client.Node{}
}

func failed(node lease.Principal, err error) slice.Input {
	trouble := slice.Bad
	switch {
	case errors.Is(err, api.ErrUnreachable):
		trouble = slice.NoPath
	case errors.Is(err, context.DeadlineExceeded):
		trouble = slice.Late
	}
	return slice.Failed{Node: node, Trouble: trouble, Text: err.Error()}
}

// row is what became of the slice.
func (r *researcher) row() report.Slice {
	r.mu.Lock()
	defer r.mu.Unlock()
	row := report.Slice{Name: r.spec.Name, Wanted: r.spec.Nodes, Outcome: r.outcome, Why: r.why}
	if r.outcome == "" {
		row.Outcome = "under way"
	}
	if r.whole > 0 {
		row.Time = r.whole - r.began
	}
	for _, sl := range r.record.Slivers {
		o, err := lease.Open(sl.Signed)
		if err != nil {
			continue
		}
		l, ok := o.Statement.(*lease.Lease)
		at, known := r.s.keyed(sl.Node)
		if ok && known && at.machine.runs(l.SliverOf(o.ID)) {
			row.Running++
		}
	}
	return row
}
