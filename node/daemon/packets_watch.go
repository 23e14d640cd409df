// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"slices"
	"sync"
	"time"

	programs "croft/ebpf/verdict"
	"croft/node/role"
)

// packets has the role's answers come to something: which program says what passes.
type packets struct {
	d     *Daemon
	in    PacketPrograms
	now   chan struct{}          // who fills the role may have changed
	gates map[bool]chan struct{} // one load at a time of those on trial, and one of others

	mu       sync.Mutex // not held over a load, nor while an office is asked for its lock
	places   map[role.Tenant]seat
	refusals map[role.Tenant][]rejection
	seen     map[programs.Digest]programs.Counts // when an answer had it last
	by       role.Tenant                         // whose program is in force; of one from before a restart nobody's
	answered time.Time                           // when that one did last
}

// newPackets returns nil where nothing of the kind can be: methods of that do nothing.
func newPackets(d *Daemon) *packets {
	if d.deps.Hosting == nil || d.deps.Hosting.Programs == nil {
		return nil
	}
	return &packets{d: d, in: d.deps.Hosting.Programs, now: make(chan struct{}, 1),
		gates:  map[bool]chan struct{}{true: make(chan struct{}, 1), false: make(chan struct{}, 1)},
		places: map[role.Tenant]seat{}, refusals: map[role.Tenant][]rejection{}, seen: map[programs.Digest]programs.Counts{}}
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

// came is changed for a tenant that came or went: whom nobody asks changes nothing.
func (p *packets) came(name string, who role.Tenant) {
	if p != nil && name == "packets" && p.office().fillers().has(who) {
		p.changed(name)
	}
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

// decide puts in force what the role says. Where whose program is in force does not
// answer, and nobody else but the built-in does, it stays so for a while, unless its
// owner took it away; then all packets pass.
func (p *packets) decide(ctx context.Context) {
	a, err := p.d.program().ask(ctx, p.d, inquirer{own: true}, programAsk{})
	if ctx.Err() != nil {
		return
	}
	who := p.office().fillers()
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.prune(who)
	now := time.Now()
	switch failed := err != nil || a.tenant == role.Builtin && a.instead != ""; {
	case failed && p.stays(now, who.chain):
		return
	case !failed && !slices.Contains(who.chain, a.tenant):
		return // its owner took it away meanwhile, and it is asked anew
	case !failed:
		p.answered = now
	}
	log, was, is := p.d.deps.Log, p.in.Enforced(), a.answer.digest()
	if err := p.in.Enforce(is); err != nil {
		log.Error("a packet program cannot be put in force; what was in force is", "err", err)
		return
	}
	p.by = a.tenant
	switch {
	case is == nil && was != nil:
		log.Warn("all packets pass from now on", "by", a.tenant.Short(), "instead", a.instead, "err", err)
	case is != nil && (was == nil || *was != *is):
		log.Warn("a packet program is in force", "by", a.tenant.Short(), "digest", is)
	}
}

// stays reports whether what is in force counts while who answered with it does not.
func (p *packets) stays(now time.Time, chain []role.Tenant) bool {
	if p.in.Enforced() == nil || now.Sub(p.answered) >= programValid {
		return false
	}
	if p.by == "" {
		return len(chain) > 0 && chain[0] != role.Builtin
	}
	return slices.Contains(chain, p.by)
}

// forget ends at once what a tenant that its owner dropped or demoted has in the kernel.
func (p *packets) forget(demoted bool) {
	if p == nil {
		return
	}
	who := p.office().fillers()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.in.Enforced() != nil && (p.by == "" && demoted || p.by != "" && !slices.Contains(who.chain, p.by)) {
		if err := p.in.Enforce(nil); err != nil {
			p.d.deps.Log.Error("a packet program cannot be taken out of force", "err", err)
		} else {
			p.d.deps.Log.Warn("all packets pass until another program is in force", "was", p.by.Short())
		}
	}
	p.prune(who)
}
