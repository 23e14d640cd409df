// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"croft/lease"
	"croft/lease/offer"
	"croft/node/api"
	"croft/node/client"
	"croft/node/keep"
	"croft/node/role"
	"croft/node/slice"
	"croft/sandbox"
)

// spot is a sliver at its node: a node can sign a lease with another sliver's name.
type spot struct {
	node   lease.Principal
	sliver string
}

// charged is one charge while it is kept: it owns the watch and does what it decides.
type charged struct {
	of *charges

	mu     sync.Mutex
	w      *keep.Watch
	by     lease.Authority // as this node shows it
	doubt  string
	clock  string             // why its clock cannot be gone by
	listed []keep.Member      // as last seen
	news   chan struct{}      // capacity of one: something was changed from outside
	halt   context.CancelFunc // ends the turn that is on; nil: none is

	runs bool // a goroutine keeps it

	busy sync.Mutex // held through a turn

	// Of the goroutine that keeps it.
	nodes map[lease.Principal]*client.Node
	seen  map[spot]slice.Sliver // as last looked
	found map[lease.Principal]slice.Candidate
}

func newCharged(of *charges, w *keep.Watch, by lease.Authority) *charged {
	return &charged{of: of, w: w, by: by, news: make(chan struct{}, 1), nodes: map[lease.Principal]*client.Node{}, seen: map[spot]slice.Sliver{}, found: map[lease.Principal]slice.Candidate{}}
}

func (k *charged) standing() keep.Standing {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.w.Standing()
}

// kept is the charge as people are told of it.
func (k *charged) kept() api.Kept {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.w.Standing()
	out := api.Kept{Slice: s.Charge.Slice, Owner: s.Charge.Owner, Want: s.Charge.Want, Where: s.Charge.Where, Term: s.Charge.Term, Since: s.Since,
		Until: min(s.Charge.Until, k.by.Until), Slivers: slices.Clone(k.listed), Acts: slices.Clone(s.Acts), Over: s.Over, Doubt: cmp.Or(k.clock, k.doubt)}
	for _, l := range k.listed {
		if l.State == keep.Runs || l.State == keep.Starts {
			out.Lives++
		}
	}
	return out
}

// step applies an input, and has what must not be forgotten on disk before it returns
// what else is to be done. After an error the watch is as the disk has it.
func (k *charged) step(in keep.Input) ([]keep.Effect, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	before := k.w.Standing()
	out := k.w.Step(k.of.d.time.now(), in)
	if len(out) == 0 {
		return nil, nil
	}
	if s, ok := out[0].(keep.Store); ok {
		if err := k.of.store.put(s.Standing); err != nil {
			k.of.d.deps.Log.Error(errStored.Error(), "slice", before.Charge.Slice, "err", err)
			k.w = keep.New(k.of.d.time.now().Add(keep.LookEvery), before, k.by.Until)
			return nil, errors.Join(errStored, err)
		}
		k.tell(before, s.Standing)
		out = out[1:]
	}
	return out, nil
}

// tell has what was done in the log.
func (k *charged) tell(before, now keep.Standing) {
	last := keep.Act{}
	if n := len(before.Acts); n > 0 {
		last = before.Acts[n-1]
	}
	at := slices.Index(now.Acts, last)
	for _, a := range now.Acts[at+1:] {
		k.of.d.deps.Log.Info("keeping a slice", "slice", now.Charge.Slice, "owner", now.Charge.Owner, "what", a.What, "node", a.Node, "sliver", a.Sliver, "by", a.By, "why", a.Why)
	}
}

func (k *charged) change(c keep.Charge, by lease.Authority) error {
	k.mu.Lock()
	k.by = by
	k.mu.Unlock()
	_, err := k.step(keep.Changed{Charge: c, Ends: by.Until})
	k.nudge()
	return err
}

// lapse ends the charge. When it returns nothing is asked for by it any more, and what
// was on the way is closed.
func (k *charged) lapse(why string) error {
	_, err := k.step(keep.Lapsed{Why: why})
	if err != nil {
		return err
	}
	k.mu.Lock()
	if k.halt != nil {
		k.halt()
	}
	k.mu.Unlock()
	k.busy.Lock()
	defer k.busy.Unlock()
	k.nudge()
	return nil
}

func (k *charged) nudge() {
	select {
	case k.news <- struct{}{}:
	default:
	}
}

// takeUp reports whether nobody keeps the charge yet, and that it is to be.
func (k *charged) takeUp() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.runs || k.w.Standing().Over != "" {
		return false
	}
	k.runs = true
	return true
}

// run keeps the charge until it is over or ctx ends.
func (k *charged) run(ctx context.Context) {
	for ctx.Err() == nil {
		k.mu.Lock()
		at, waits := k.w.NextWake()
		if !waits { // it is over; whoever changes it after this has it kept anew
			k.runs = false
			k.letGo()
		}
		k.mu.Unlock()
		if !waits {
			return
		}
		timer := time.NewTimer(k.of.d.time.until(at))
		select {
		case <-ctx.Done():
		case <-timer.C:
			k.turn(ctx)
		case <-k.news:
		}
		timer.Stop()
	}
	k.hangUp()
}

// turn looks once, and does what comes of it.
func (k *charged) turn(ctx context.Context) {
	k.busy.Lock()
	defer k.busy.Unlock()
	ctx, halt := context.WithCancel(ctx)
	defer halt()
	k.mu.Lock()
	k.halt = halt
	k.mu.Unlock()
	if k.waits() {
		_, _ = k.step(keep.Deferred{}) // nothing is stored
		return
	}
	if err := k.stands(ctx); err != nil {
		_, _ = k.step(keep.Lapsed{Why: role.Printable("the owner's grant does not stand: "+err.Error(), role.MaxText)}) // an error is told in the log, and the next turn comes to the same
		return
	}
	for inputs := []keep.Input{keep.Tick{}}; len(inputs) > 0; inputs = inputs[1:] {
		effects, err := k.step(inputs[0])
		if err != nil {
			return
		}
		for _, e := range effects {
			if in := k.perform(ctx, e); in != nil {
				inputs = append(inputs, in)
			}
		}
	}
}

// waits reports whether nothing can be judged by the clock: it is far from the ledger's,
// or before the grant. What is over by a wrong clock would be over for good.
func (k *charged) waits() bool {
	_, far := k.of.d.time.step()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.clock = ""
	switch {
	case far:
		k.clock = "the clock was set; its owner has yet to accept it"
	case k.of.d.time.now().Unix() < k.by.From:
		k.clock = "the grant has not begun, by this node's clock"
	default:
		return false
	}
	return true
}

// stands judges the grant by the slice's newest record that can be had. What cannot be
// looked up is as it was.
func (k *charged) stands(ctx context.Context) error {
	k.mu.Lock()
	by, charge := k.by, k.w.Standing().Charge
	k.mu.Unlock()
	if newest, err := k.of.d.newest(ctx, by.Record); err == nil {
		if by, err = by.On(newest); err != nil {
			return err
		}
	}
	if k.of.d.time.now().Unix() >= by.Until {
		return nil // its watch says so
	}
	if err := k.of.allowed(by, charge); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.by.ID == by.ID { // else it was changed meanwhile
		k.by = by
	}
	return nil
}

func (k *charged) perform(ctx context.Context, e keep.Effect) keep.Input {
	switch e := e.(type) {
	case keep.Look:
		sight := k.look(ctx, e.Nodes)
		return keep.Looked{Sight: sight}
	case keep.Seek:
		return k.seek(ctx, e.Not)
	case keep.Consult:
		return k.consult(ctx, e.Question)
	case keep.Renew:
		return k.renew(ctx, e)
	case keep.Run:
		return k.launch(ctx, e)
	case keep.Close:
		return k.close(ctx, e)
	}
	return nil
}

// consult asks the role keeper. A slice is not asked about itself.
func (k *charged) consult(ctx context.Context, q keep.Question) keep.Input {
	a, err := k.of.d.keeping().ask(ctx, k.of.d, inquirer{own: true, not: role.Tenant(q.Slice)}, q)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.listed, k.doubt = q.Slivers, ""
	if err != nil {
		k.doubt = role.Printable(err.Error(), role.MaxText)
		return keep.Undecided{Why: k.doubt}
	}
	return keep.Decided{Decision: a.answer, By: string(a.tenant)}
}

// node is the channel to a node, under the owner's grant.
func (k *charged) node(p lease.Principal) *client.Node {
	k.mu.Lock()
	defer k.mu.Unlock()
	n := k.nodes[p]
	if n == nil {
		d := k.of.d
		n = client.Over(p, d.deps.Key, pipeTo(d, p)).Under(k.by.Bytes())
		k.nodes[p] = n
	}
	return n
}

// hangUp lets go of all channels: the next is under the grant as it stands then.
func (k *charged) hangUp() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.letGo()
}

// letGo is called with mu held.
func (k *charged) letGo() {
	for _, n := range k.nodes {
		n.Close()
	}
	clear(k.nodes)
}

// look asks nodes what they have of the slice, some at a time.
func (k *charged) look(ctx context.Context, nodes []lease.Principal) keep.Sight {
	k.hangUp()
	clear(k.seen)
	sight := k.ask(ctx, nodes)
	sight.Health = k.health(ctx, sight.Silent)
	k.show(sight)
	return sight
}

// ask is look, beside what was seen before.
func (k *charged) ask(ctx context.Context, nodes []lease.Principal) (sight keep.Sight) {
	standing := k.standing()
	charge, now := standing.Charge, k.of.d.time.now().Unix()
	rec := slice.Record{Slice: charge.Slice, Owner: charge.Owner, Actor: k.of.d.deps.Key.Principal()}
	var mu sync.Mutex
	var wait sync.WaitGroup
	slots := make(chan struct{}, maxLooks)
	for _, node := range nodes {
		wait.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			ctx, cancel := context.WithTimeout(ctx, lookWithin)
			defer cancel()
			list, err := k.node(node).Slivers(ctx)
			mu.Lock()
			defer mu.Unlock()
			if err != nil && !nothingOf(err, standing, node) {
				sight.Silent = append(sight.Silent, node)
				return
			}
			for name, s := range newestOf(rec, node, list, now) {
				k.seen[spot{node, name}] = s.Sliver
				sight.Seen = append(sight.Seen, keep.Seen{Sliver: name, Node: node, State: s.state, Left: s.left})
			}
		})
	}
	wait.Wait()
	return sight
}

// nothingOf reports whether a node that refuses to list slivers has none. One that had
// some may have heard of a grant that is not here yet, or have another clock: it is
// silent, and loses them no sooner than one that is away.
func nothingOf(err error, s keep.Standing, node lease.Principal) bool {
	if errors.Is(err, api.ErrNotGranted) {
		return !slices.ContainsFunc(s.Known, func(k keep.Known) bool { return k.Node == node })
	}
	return errors.Is(err, api.ErrVisitor)
}

// seenSliver is a sliver as its node tells of it, under the lease in force.
type seenSliver struct {
	slice.Sliver
	state keep.State
	left  int64
}

// newestOf verifies what a node lists of the slice: each under the lease that lasts
// longest, as there are two while one is replaced by the next. What is left of one is at
// most what is signed.
func newestOf(rec slice.Record, node lease.Principal, list []api.Sliver, now int64) map[string]seenSliver {
	out := map[string]seenSliver{}
	n := 0
	for _, s := range list {
		if s.Owner != rec.Owner || s.Slice != rec.Slice {
			continue
		}
		if n++; n > maxListed {
			break
		}
		adopted, err := rec.Adopt(node, node.Short(), s.Signed)
		if err != nil {
			continue // nothing that this node has signed for this slice
		}
		adopted.Public = s.Public
		if old, ok := out[adopted.Sliver]; ok && old.Until >= adopted.Until {
			continue
		}
		out[adopted.Sliver] = seenSliver{adopted, runState(s), max(min(s.Left, adopted.Until-now), 0)}
	}
	return out
}

// at are the slivers of these names. The names in a standing are each of one node: see
// [keep.Watch].
func (k *charged) at(names []string) (list []slice.Sliver) {
	for _, known := range k.standing().Known {
		if s, ok := k.seen[spot{known.Node, known.Sliver}]; ok && slices.Contains(names, known.Sliver) {
			list = append(list, s)
		}
	}
	return list
}

func runState(s api.Sliver) keep.State {
	switch sandbox.State(s.Run) {
	case sandbox.Running:
		return keep.Runs
	case sandbox.Stopping, sandbox.Stopped, sandbox.Failed, sandbox.Gone:
		return keep.Ended
	}
	return keep.Starts
}

// health is what the role monitor has of nodes that gave no answer.
func (k *charged) health(ctx context.Context, nodes []lease.Principal) map[lease.Principal]string {
	d := k.of.d
	if d.deps.Measures == nil || len(nodes) == 0 {
		return nil
	}
	var q healthAsk
	for _, n := range nodes[:min(len(nodes), maxJudged)] {
		q.Nodes = append(q.Nodes, d.deps.Measures.Measured(n))
	}
	a, err := d.health().ask(ctx, d, inquirer{own: true}, q)
	if err != nil {
		return nil // then silence alone counts
	}
	out := map[lease.Principal]string{}
	for _, v := range a.answer.Nodes {
		out[v.Node] = string(v.Health)
	}
	return out
}

// show is what people are told of until the next question.
func (k *charged) show(s keep.Sight) {
	var list []keep.Member
	for _, p := range s.Seen {
		list = append(list, keep.Member{Sliver: p.Sliver, Node: p.Node, State: p.State, Left: p.Left})
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, known := range k.w.Standing().Known {
		if !known.Dropped && slices.Contains(s.Silent, known.Node) {
			list = append(list, keep.Member{Sliver: known.Sliver, Node: known.Node, State: keep.Unseen, Health: s.Health[known.Node]})
		}
	}
	slices.SortFunc(list, func(a, b keep.Member) int { return slices.Compare([]byte(a.Sliver), []byte(b.Sliver)) })
	k.listed = list
}

// seek finds nodes that match and asks them what they have of the slice: another keeper
// may have been there first. Without an order of the owner's the nodes are those that
// every keeper of the slice thinks of first.
func (k *charged) seek(ctx context.Context, not []lease.Principal) keep.Input {
	charge := k.standing().Charge
	ctx, cancel := context.WithTimeout(ctx, seekWithin)
	defer cancel()
	req := offer.FindRequest{Query: charge.Where, View: true}
	q, err := req.Parse()
	var res offer.Result
	if err == nil {
		res, err = discovery{d: k.of.d, own: true}.Find(ctx, req)
	}
	if err != nil {
		k.mu.Lock()
		k.doubt = role.Printable("finding nodes: "+err.Error(), role.MaxText)
		k.mu.Unlock()
		return keep.Found{}
	}
	out := keep.Found{}
	clear(k.found)
	for _, f := range res.Offers {
		o := f.Offer
		if slices.Contains(not, o.Node) {
			continue
		}
		k.found[o.Node] = slice.Candidate{Node: o.Node, Name: o.Display(), Addrs: o.Addrs}
		out.Candidates = append(out.Candidates, keep.Candidate{Node: o.Node, Country: o.Attributes.Country, City: o.Attributes.City, RTT: f.RTT.Microseconds()})
	}
	if !q.Ordered() {
		keep.Order(charge.Owner, charge.Slice, out.Candidates)
	}
	out.Candidates = out.Candidates[:min(len(out.Candidates), mostSought)]
	var nodes []lease.Principal
	for _, c := range out.Candidates {
		nodes = append(nodes, c.Node)
	}
	out.Sight = k.ask(ctx, nodes)
	return out
}
