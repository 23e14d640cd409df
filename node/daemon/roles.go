// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"time"

	"croft/node/api"
	"croft/node/door"
	"croft/node/role"
)

// tenant is who can be asked what a role is: what is built in, or a sliver at its
// door.
type tenant interface {
	Call(ctx context.Context, what role.Call, ask json.RawMessage, part func(json.RawMessage) error) (json.RawMessage, error)
}

// builtins are the tenants that this binary brings, by role; nil is none. Each is in
// a file of its own, which a build tag leaves out.
var builtins = map[string]func(*Daemon) tenant{}

// roles are all that can be handed over.
type roles struct {
	d       *Daemon
	offices map[string]*office
}

func newRoles(d *Daemon) (*roles, error) {
	r := &roles{d: d, offices: map[string]*office{}}
	for _, job := range role.All() {
		if job.Version == 0 {
			continue
		}
		cfg := role.Config{Role: job, Share: d.cfg.Roles[job.Name].Share, Rule: d.cfg.Roles[job.Name].Rule}
		var builtin tenant
		if f := builtins[job.Name]; f != nil {
			builtin = f(d)
		}
		o, err := newOffice(cfg, builtin, filepath.Join(d.cfg.State, "roles", job.Name), d.deps.Log)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("reading who fills the role %s: %w", job.Name, err), r.close())
		}
		r.offices[job.Name] = o
	}
	return r, nil
}

func (r *roles) close() error {
	var errs []error
	for _, o := range r.offices {
		errs = append(errs, o.close())
	}
	return errors.Join(errs...)
}

// Enter takes in a sliver that serves a role.
func (r *roles) Enter(job role.Role, who role.Tenant, t *door.Tenant) (leave func(error), err error) {
	o := r.offices[job.Name]
	if o == nil {
		return nil, role.ErrRole
	}
	out, err := o.enter(who, t)
	if err != nil {
		return nil, err
	}
	r.d.packets.came(job.Name, who)
	return func(why error) {
		out(why)
		r.d.packets.came(job.Name, who)
	}, nil
}

// Roles tells who fills what.
func (r *roles) Roles(context.Context) ([]api.Role, error) {
	out := []api.Role{}
	for _, job := range role.All() {
		out = append(out, r.role(job))
	}
	return out, nil
}

// Decide does what the node's owner wants.
func (r *roles) Decide(_ context.Context, name string, wish api.RoleWish) (api.Role, error) {
	job, err := role.Lookup(name)
	if err != nil {
		return api.Role{}, fmt.Errorf("%w: %w", api.ErrNoRole, err)
	}
	o := r.offices[name]
	if o == nil {
		return api.Role{}, fmt.Errorf("%w: role %s cannot be handed over yet", api.ErrRole, name)
	}
	var who role.Tenant
	if wish.Do != "demote" {
		if who, err = role.ParseTenant(wish.Tenant); err != nil {
			return api.Role{}, fmt.Errorf("%w: %w", api.ErrBadRequest, err)
		}
	}
	var in role.Input
	switch wish.Do {
	case "try":
		in = role.Try{Tenant: who}
	case "drop":
		in = role.Drop{Tenant: who}
	case "promote":
		in = role.Promote{Tenant: who}
	case "demote":
		in = role.Demote{}
	default:
		return api.Role{}, fmt.Errorf("%w: %.20q is nothing that is done with a role", api.ErrBadRequest, wish.Do)
	}
	why, err := o.decide(in)
	switch {
	case err != nil:
		return api.Role{}, fmt.Errorf("%w: %w", api.ErrAgain, err)
	case why != "":
		return api.Role{}, fmt.Errorf("%w: %s", api.ErrRole, why)
	}
	if name == "packets" && (wish.Do == "drop" || wish.Do == "demote") {
		r.d.packets.forget(wish.Do == "demote")
	}
	r.d.packets.changed(name)
	return r.role(job), nil
}

func (r *roles) role(job role.Role) api.Role {
	out := api.Role{Role: job.Name, Version: job.Version, Question: job.Question, Leaves: job.Leaves, Compared: job.Compared}
	o := r.offices[job.Name]
	if o == nil {
		return out
	}
	if r.d.doorways != nil {
		out.Refused = r.d.doorways.house.Counts()
	}
	if n := r.d.deciding.turnedAway(); n > 0 && job.Name == "allocator" {
		counts := map[string]uint64{"asks beyond those that may wait": n}
		maps.Copy(counts, out.Refused)
		out.Refused = counts
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	out.Share, out.Rule = string(o.cfg.Share), o.cfg.Rule.String()
	now := time.Now()
	for _, st := range o.s.Standings() {
		t := api.RoleTenant{Tenant: string(st.Tenant), Place: string(st.Place), Here: st.Here, Why: st.Why, Resting: max(st.Until.Sub(now).Milliseconds(), 0),
			Asked: st.Score.Asked, Failed: st.Score.Failed, Last: st.Score.Last, Trials: st.Score.Trials, Agreement: st.Score.Agreement(),
			P50: milliseconds(st.Score.Quantile(0.5)), P95: milliseconds(st.Score.Quantile(0.95))}
		if !st.Since.IsZero() {
			t.Since = &st.Since
		}
		out.Tenants = append(out.Tenants, t)
	}
	for _, f := range o.s.Past() {
		out.Past = append(out.Past, api.RoleFact{At: f.At, What: string(f.Kind), Tenant: string(f.Tenant), Why: f.Why})
	}
	return out
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
