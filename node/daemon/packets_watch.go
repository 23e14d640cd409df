// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"sync"
	"time"

	programs "croft/ebpf/verdict"
)

// packets has the role's answers come to something: which program says what passes.
type packets struct {
	d   *Daemon
	in  PacketPrograms
	now chan struct{} // who fills the role may have changed

	mu       sync.Mutex
	named    map[programs.Digest]time.Time // programs, by when an answer had them last
	answered time.Time
}

// newPackets returns nil where nothing of the kind can be: methods of that do nothing.
func newPackets(d *Daemon) *packets {
	if d.deps.Hosting == nil || d.deps.Hosting.Programs == nil {
		return nil
	}
	return &packets{d: d, in: d.deps.Hosting.Programs, now: make(chan struct{}, 1), named: map[programs.Digest]time.Time{}}
}

// changed has the role asked at once, where it is this one.
func (p *packets) changed(name string) {
	if p == nil || name != "packets" {
		return
	}
	select {
	case p.now <- struct{}{}:
	default:
	}
}

// load has a program verified, and count what it would refuse. A node that hosts
// nothing takes it unseen, as nothing comes of it there.
func (p *packets) load(ctx context.Context, object []byte) error {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	d, err := p.in.Load(ctx, object)
	if err == nil {
		p.named[d] = time.Now()
	}
	return err
}

// share is how much of what a program has seen it refused, or would have: nothing for
// none. False: it has seen nothing.
func (p *packets) share(d *programs.Digest) (of float64, ok bool) {
	if d == nil {
		return 0, true
	}
	if p == nil {
		return 0, false
	}
	c, err := p.in.Counts(*d)
	if err != nil || c.Seen == 0 {
		return 0, false
	}
	return float64(c.Refused) / float64(c.Seen), true
}

// begin has a sliver judged from its first packet; end is after its last.
func (p *packets) begin(sliver string) error {
	if p == nil {
		return nil
	}
	return p.in.Begin(sliver)
}

func (p *packets) end(sliver string) {
	if p != nil {
		p.in.End(sliver)
	}
}

// refused is how many packets of a sliver were.
func (p *packets) refused(sliver string) uint64 {
	if p == nil {
		return 0
	}
	n, err := p.in.Refused(sliver)
	if err != nil {
		p.d.deps.Log.Debug("what was refused of a sliver cannot be read", "sliver", sliver, "err", err)
	}
	return n
}

// run asks the role now and then, and at once when who fills it may have changed. What
// was in force before a restart stays so until its tenant has had time to dial again.
func (p *packets) run(ctx context.Context) {
	if p.in.Enforced() != nil {
		p.answered = time.Now()
		select {
		case <-time.After(programSettle):
		case <-ctx.Done():
			return
		}
	}
	again := time.NewTicker(programAgain)
	defer again.Stop()
	for {
		p.decide(ctx)
		select {
		case <-ctx.Done():
			return
		case <-again.C:
		case <-p.now:
		}
		select { // what comes at once is asked at once
		case <-time.After(programGap):
		case <-ctx.Done():
			return
		}
	}
}

// decide puts in force what the role says. Where nobody says anything what was said
// counts for a while, and then all packets pass.
func (p *packets) decide(ctx context.Context) {
	a, err := p.d.program().ask(ctx, p.d, inquirer{own: true}, programAsk{})
	if ctx.Err() != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if err != nil && now.Sub(p.answered) < programValid {
		return
	}
	if err == nil {
		p.answered = now
	}
	log, was, is := p.d.deps.Log, p.in.Enforced(), a.answer.digest()
	if err := p.in.Enforce(is); err != nil {
		log.Error("a packet program cannot be put in force; what was in force is", "err", err)
		return
	}
	switch {
	case is == nil && was != nil:
		log.Warn("all packets pass from now on", "by", a.tenant.Short(), "err", err)
	case is != nil && (was == nil || *was != *is):
		log.Warn("a packet program is in force", "by", a.tenant.Short(), "digest", is)
	}
	var keep []programs.Digest
	for d, at := range p.named {
		if now.Sub(at) < programValid {
			keep = append(keep, d)
		} else {
			delete(p.named, d)
		}
	}
	if err := p.in.Keep(keep); err != nil {
		log.Warn("a packet program that nobody names any more stays", "err", err)
	}
}
