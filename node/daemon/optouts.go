// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"croft/ebpf"
	"croft/ebpf/optout"
	"croft/gossip"
	"croft/lease"
	"croft/lease/judge"
	"croft/node/api"
)

// optouts is the node's set of addresses to be left alone: what gossip brings and
// askers hand in goes through it to the disk and into the guard.
type optouts struct {
	wall  func() time.Time
	log   *slog.Logger
	guard ebpf.Guard                          // nil: a node without slivers
	tell  func(context.Context, []byte) error // to everybody; set before anything runs

	mu      sync.Mutex
	set     *optout.Set
	fresh   [][]byte // accepted and not on disk yet
	changed bool     // the guard has not what the set has

	sights *sightings    // nil: who is where comes from elsewhere
	file   *optoutFile   // owned by run
	news   chan struct{} // capacity of one: there is something to do
}

// openOptOuts reads what was kept and has the guard hold to it, before any sliver
// runs.
func openOptOuts(ctx context.Context, state string, wall func() time.Time, guard ebpf.Guard, log *slog.Logger) (*optouts, error) {
	file, kept, err := openOptOutFile(filepath.Join(state, "node", "optouts"))
	if err != nil {
		return nil, err
	}
	o := &optouts{wall: wall, log: log, guard: guard, set: optout.New(optout.Config{}), file: file, news: make(chan struct{}, 1), changed: true}
	for _, b := range kept {
		o.set.Step(wall(), optout.Kept{Bytes: b})
	}
	if err := o.work(ctx); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return o, nil
}

// step applies an input. It does not wait for the disk or the guard.
func (o *optouts) step(in optout.Input) (verdict optout.Verdict) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, e := range o.set.Step(o.wall(), in) {
		switch e := e.(type) {
		case optout.Verdict:
			verdict = e
		case optout.Entered:
			o.fresh = append(o.fresh, e.Entry.Bytes)
			o.log.Info("an address opted out", "addr", e.Entry.Addr, "until", time.Unix(e.Entry.Until, 0).UTC())
		case optout.Left:
			o.log.Debug("an opt-out is over", "addr", e.Addr, "why", e.Reason)
		case optout.Changed:
			o.changed = true
			o.poke()
		}
	}
	return verdict
}

func (o *optouts) poke() {
	select {
	case o.news <- struct{}{}:
	default:
	}
}

// Receive implements pubsub.OptOuts, as do Digest and Page.
func (o *optouts) Receive(in gossip.Received) gossip.Verdict {
	v := o.step(optout.Received{Bytes: in.Bytes, From: in.From, Pulled: in.Pulled})
	return gossip.Verdict(v)
}

// Digest is the state of the set.
func (o *optouts) Digest() gossip.Digest {
	o.mu.Lock()
	defer o.mu.Unlock()
	return gossip.Digest(o.set.Digest())
}

// Page is what one with another digest may lack.
func (o *optouts) Page(theirs gossip.Digest, after lease.ID) ([][]byte, lease.ID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.set.Page(optout.Digest(theirs), after)
}

// run keeps disk and guard as the set is, until ctx ends.
func (o *optouts) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-o.news:
		case <-timer.C:
			o.step(optout.Tick{})
		}
		wait := o.untilNext()
		if err := o.work(ctx); err != nil && ctx.Err() == nil {
			o.log.Error("opt-outs are not all in force yet", "err", err)
			wait = againWait
		}
		timer.Reset(wait)
		select { // what comes meanwhile is done in one go
		case <-ctx.Done():
			return
		case <-time.After(optoutGap):
		}
	}
}

// untilNext is the time to the end of the next entry.
func (o *optouts) untilNext() time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	at, ok := o.set.NextWake()
	if !ok {
		return time.Hour
	}
	return min(max(at.Sub(o.wall()), optoutGap), time.Hour)
}

// work brings what is new to the guard and to the disk. That the disk is full is
// no reason to send packets to who asked for none, so the guard comes first.
func (o *optouts) work(ctx context.Context) error {
	o.mu.Lock()
	fresh, changed := o.fresh, o.changed
	var addrs []netip.Addr
	if changed {
		addrs = o.set.Addrs()
	}
	o.fresh, o.changed = nil, false
	o.mu.Unlock()
	var guard, disk error
	if changed && o.guard != nil {
		guard = o.guard.SetOptOut(ctx, addrs)
	}
	if len(fresh) > 0 {
		disk = o.file.add(fresh)
	}
	o.mu.Lock()
	if o.changed = o.changed || guard != nil; disk != nil {
		o.fresh = append(fresh, o.fresh...)
	}
	var all []optout.Entry
	if disk == nil && o.file.long(o.set.Len()) {
		all = o.set.Entries()
	}
	o.mu.Unlock()
	if all != nil {
		disk = o.file.replace(all)
	}
	return errors.Join(guard, disk)
}

// close puts on disk what is not there yet.
func (o *optouts) close() error {
	o.mu.Lock()
	fresh := o.fresh
	o.fresh = nil
	o.mu.Unlock()
	var err error
	if len(fresh) > 0 {
		err = o.file.add(fresh)
	}
	return errors.Join(err, o.file.Close())
}

// live reports whether an address is a node's.
func (o *optouts) live(a netip.Addr) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.set.Live(a)
}

// shared reports whether an address is that of a live node other than p. Its tenants
// come from there too, so that it shows nothing of who comes.
func (o *optouts) shared(a netip.Addr, p lease.Principal) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	n, _ := o.set.Node(p)
	return o.set.Live(a) && !slices.Contains(n.Addrs, a.Unmap())
}

// knows reports whether a node was told of.
func (o *optouts) knows(p lease.Principal) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, ok := o.set.Node(p)
	return ok
}

// choice are the nodes that may attest for an address.
func (o *optouts) choice(a netip.Addr, now time.Time) []optout.Node {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.set.Chosen(a, now.Unix())
}

// chosen reports whether a node is one of them.
func (o *optouts) chosen(p lease.Principal, a netip.Addr, now time.Time) bool {
	return slices.ContainsFunc(o.choice(a, now), func(n optout.Node) bool { return n.Principal == p })
}

// take has the set judge an entry that somebody brought, and tells everybody.
func (o *optouts) take(ctx context.Context, text []byte) (optout.Entry, error) {
	by, err := optout.ParseText(text)
	if err != nil {
		return optout.Entry{}, fmt.Errorf("%w: %w", api.ErrBadRequest, err)
	}
	e, err := optout.Join(by)
	if err != nil {
		return optout.Entry{}, fmt.Errorf("%w: %w", api.ErrBadRequest, err)
	}
	v := o.step(optout.Local{Bytes: e.Bytes})
	if v.Judgement != judge.Accept && v.Reason != judge.Duplicate {
		return e, fmt.Errorf("%w: opt-out of %s not taken (%s): %s", api.ErrBadRequest, e.Addr, v.Reason, optout.Meaning(v.Reason))
	}
	ctx, cancel := context.WithTimeout(ctx, noticeLimit)
	defer cancel()
	if err := o.tell(ctx, e.Bytes); err != nil {
		o.log.Warn("nobody was told of an opt-out; who lacks it pulls it", "addr", e.Addr, "err", err)
	}
	return e, nil
}
