// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"croft/lease"
	"croft/node/api"
	"croft/node/role"
)

// obsolescence measures what of this node is still its founders': what they built, which
// is the binary and the tenants in it, and what they run, which are the nodes and people
// of [Footing.Founders].
type obsolescence struct{ d *Daemon }

// Obsolescence asks everybody on whom this node depends, and those who would be next.
func (o obsolescence) Obsolescence(ctx context.Context) ([]api.Dependence, error) {
	var roles, nodes []api.Dependence
	var asks sync.WaitGroup
	asks.Go(func() { roles = o.roles(ctx) })
	if f := o.d.deps.Footing; f != nil {
		asks.Go(func() { nodes = o.footing(ctx, f) })
	}
	asks.Wait()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return append(append(roles, nodes...), o.running()), nil
}

// roles puts a question to every tenant of every role.
func (o obsolescence) roles(ctx context.Context) []api.Dependence {
	var jobs []role.Role
	for _, job := range role.All() {
		if job.Version > 0 {
			jobs = append(jobs, job)
		}
	}
	out := make([]api.Dependence, len(jobs))
	var asks sync.WaitGroup
	for i, job := range jobs {
		asks.Go(func() { out[i] = o.role(ctx, job) })
	}
	asks.Wait()
	return out
}

func (o obsolescence) role(ctx context.Context, job role.Role) api.Dependence {
	dep := api.Dependence{Kind: "role", Name: job.Name}
	office := o.d.roles.offices[job.Name]
	chain := office.chain()
	sample := samples[job.Name]
	if sample == nil { // nobody can be asked without effect: who is in line is all that there is to tell
		return o.inLine(dep, office.answering(chain))
	}
	q, err := sample(o.d, ctx)
	if err != nil {
		dep.Founders, dep.Lost, dep.Holder = api.ShareNone, true, "nobody could be asked: "+err.Error()
		return dep
	}
	results := make([]probed, len(chain))
	var asks sync.WaitGroup
	for i, who := range chain {
		asks.Go(func() { results[i] = office.probe(ctx, who, i == len(chain)-1, q) })
	}
	asks.Wait()
	return o.inLine(dep, results)
}

// inLine says of a chain whose turn it is, of those who answered, and whose next.
func (o obsolescence) inLine(dep api.Dependence, chain []probed) api.Dependence {
	var before []string
	var up []probed
	for _, p := range chain {
		switch {
		case p.err == nil:
			up = append(up, p)
		case len(up) == 0:
			before = append(before, fmt.Sprintf("%s %s", p.tenant.Short(), failing(p.err)))
		}
	}
	dep.Founders = api.ShareNone
	if len(up) == 0 {
		dep.Lost, dep.Holder, dep.Without = true, strings.Join(slices.Concat([]string{"nobody"}, before), "; "), "it has vanished already"
		return dep
	}
	dep.Holder, dep.Took = string(up[0].tenant), milliseconds(up[0].took)
	if len(before) > 0 {
		dep.Holder += " instead: " + strings.Join(before, "; ")
	}
	if o.founded(up[0].tenant) {
		dep.Founders = api.ShareAll
	}
	if len(up) == 1 {
		dep.Lost, dep.Without = true, "nobody fills the role"
		return dep
	}
	dep.Without = fmt.Sprintf("%s, which answered in %s", up[1].tenant.Short(), up[1].took.Round(10*time.Microsecond))
	return dep
}

// answering are those of a chain who are there.
func (o *office) answering(chain []role.Tenant) (out []probed) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, who := range chain {
		p := probed{tenant: who}
		if o.tenants[who] == nil {
			p.err = errAbsent
		}
		out = append(out, p)
	}
	return out
}

var errAbsent = errors.New("is absent")

// founded reports whether a tenant is the founders': what they built in, or a slice of one
// of them.
func (o obsolescence) founded(t role.Tenant) bool {
	if t == role.Builtin {
		return true
	}
	_, owner, _ := strings.Cut(string(t), "@")
	p, err := lease.ParsePrincipal(owner)
	return err == nil && o.d.deps.Footing != nil && o.d.deps.Footing.Founders()[p]
}
