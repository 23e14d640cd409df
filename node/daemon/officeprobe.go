// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"croft/node/api"
	"croft/node/door"
	"croft/node/role"
)

// probed is what came of asking one tenant by itself.
type probed struct {
	tenant role.Tenant
	took   time.Duration
	err    error // it did not answer, or not what can be true
}

// chain is who would be asked, in order, whether they are here or not.
func (o *office) chain() []role.Tenant {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.s.Chain()
}

// probe asks one tenant by itself, as one on trial: its answer is verified and thrown
// away, and counts neither for nor against it.
func (o *office) probe(ctx context.Context, who role.Tenant, last bool, q inquiry) (p probed) {
	p.tenant = who
	call, ok := o.cfg.Role.Call(q.call)
	if !ok {
		p.err = fmt.Errorf("%w: role %s has no call %.40q", api.ErrRole, o.cfg.Role.Name, q.call)
		return p
	}
	within := call.Within
	if last {
		within = call.Last
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	defer context.AfterFunc(o.ctx, cancel)()
	o.mu.Lock()
	t, shut := o.tenants[who], o.shut
	o.mu.Unlock()
	switch {
	case shut:
		p.err = api.ErrStopping
	case t == nil:
		p.err = door.ErrGone
	default:
		began := time.Now()
		read := q.read(who, true)
		var end json.RawMessage
		if end, p.err = t.Call(ctx, call, q.ask, read.part); p.err == nil {
			_, p.err = read.end(end)
		}
		p.took = time.Since(began)
	}
	return p
}
