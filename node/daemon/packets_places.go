// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	programs "croft/ebpf/verdict"
	"croft/node/role"
)

// seat is what a tenant has in the kernel: one program, whatever it has answered.
type seat struct {
	digest programs.Digest
	at     time.Time // when an answer had it last
}

// rejection is an object that the kernel did not take.
type rejection struct {
	digest programs.Digest
	at     time.Time
	why    error
}

// fillers are who is asked what a role is.
type fillers struct {
	chain  []role.Tenant
	trials []role.Tenant
}

func (f fillers) has(t role.Tenant) bool {
	return slices.Contains(f.chain, t) || slices.Contains(f.trials, t)
}

func (o *office) fillers() (f fillers) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f.chain = o.s.Chain()
	for _, st := range o.s.Standings() {
		if st.Place == role.Challenger {
			f.trials = append(f.trials, st.Tenant)
		}
	}
	return f
}

func (p *packets) office() *office { return p.d.roles.offices["packets"] }

// load has a tenant's program verified, and count what it would refuse. It takes the
// place of what the same tenant had, and of nobody else's. A node that hosts nothing
// takes it unseen, as nothing comes of it there.
//
// Its end is that of the office, not of who asked: a tenant is not to blame for him.
func (p *packets) load(t role.Tenant, object []byte) error {
	if p == nil {
		return nil
	}
	o, d := p.office(), programs.DigestOf(object)
	if err := p.wasRefused(t, d); err != nil {
		return err
	}
	if err := p.settle(o, t, d); err != nil {
		return err
	}
	c, err := p.in.Counts(d)
	if err != nil { // it is not loaded yet
		gate := p.gates[slices.Contains(o.fillers().trials, t)]
		ctx, cancel := context.WithTimeout(o.ctx, programTurn)
		defer cancel()
		select {
		case gate <- struct{}{}:
			defer func() { <-gate }()
		case <-ctx.Done():
			return errors.New("another program was being verified")
		}
		if err = p.settle(o, t, d); err != nil { // it may be another's turn
			return err
		}
		_, err = p.in.Load(o.ctx, object)
	}
	who := o.fillers()
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.prune(who)
	if err != nil {
		if p.places[t].digest == d {
			delete(p.places, t)
		}
		if errors.Is(err, programs.ErrProgram) {
			list := append(p.refusals[t], rejection{d, time.Now(), err})
			p.refusals[t] = list[max(0, len(list)-maxRefusals):]
		}
		return err
	}
	p.seen[d] = c
	return nil
}

func (p *packets) wasRefused(t role.Tenant, d programs.Digest) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.refusals[t] {
		if r.digest == d && time.Since(r.at) < programRefused {
			return r.why
		}
	}
	return nil
}

// settle gives a tenant's place in the kernel to a program.
func (p *packets) settle(o *office, t role.Tenant, d programs.Digest) error {
	who := o.fillers()
	if !who.has(t) {
		return fmt.Errorf("%s is asked no more", t.Short())
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.places[t] = seat{d, time.Now()}
	p.prune(who)
	return nil
}

// prune drops the programs that have no place any more, but for the one in force: of
// tenants that are asked no more, and that nobody named for long; of who is in line the
// last few. It is called with mu held.
func (p *packets) prune(who fillers) {
	now := time.Now()
	maps.DeleteFunc(p.places, func(t role.Tenant, at seat) bool {
		return !who.has(t) || now.Sub(at.at) >= programValid
	})
	maps.DeleteFunc(p.refusals, func(t role.Tenant, _ []rejection) bool { return !who.has(t) })
	var inLine []role.Tenant
	for t := range p.places {
		if !slices.Contains(who.trials, t) {
			inLine = append(inLine, t)
		}
	}
	slices.SortFunc(inLine, func(a, b role.Tenant) int { return p.places[b].at.Compare(p.places[a].at) })
	for _, t := range inLine[min(len(inLine), maxInLine):] {
		delete(p.places, t)
	}
	var keep []programs.Digest
	for _, at := range p.places {
		keep = append(keep, at.digest)
	}
	maps.DeleteFunc(p.seen, func(d programs.Digest, _ programs.Counts) bool { return !slices.Contains(keep, d) })
	if err := p.in.Keep(keep); err != nil {
		p.d.deps.Log.Warn("a packet program that nobody names any more stays", "err", err)
	}
}

// share is how much of what a program had seen, when an answer had it last, it refused
// or would have: nothing for none. False: it has seen nothing. It does not wait for the
// kernel: an office is closed meanwhile.
func (p *packets) share(d *programs.Digest) (of float64, ok bool) {
	if d == nil {
		return 0, true
	}
	if p == nil {
		return 0, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.seen[*d]
	if c.Seen == 0 {
		return 0, false
	}
	return float64(c.Refused) / float64(c.Seen), true
}
