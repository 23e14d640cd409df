// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"croft/node/api"
	"croft/node/role"
)

// decision is a call of a role that is answered whole, by one line: Q is what is asked
// and A what its tenant decides, both as on the role's page. A role is its decisions, a
// built-in tenant, and what the node does with the answers.
type decision[Q, A any] struct {
	role, call string

	// want makes a question of what somebody wishes to know: it adds what the node
	// knows, or says what is wrong with the wish.
	want func(*Q) error
	// check verifies an answer and leaves out of it what does not hold; an error refutes
	// all of it.
	check func(Q, *A) error
	// whose, where it matters who answers, verifies the same of a tenant. Nil: it does not.
	whose func(ctx context.Context, t role.Tenant, a A) error
	// agree is how far two verified answers agree, from 0 to 1.
	agree func(q Q, given, other A) float64
	// idle reports whether two verified answers say nothing that could be compared, or who
	// says nothing agreed best where there mostly is nothing. Nil: they always do.
	idle func(q Q, given, other A) bool
	// owned puts what the node's owner says himself in the place of an answer, and
	// reports whether all of it is his. Nil: he says nothing.
	owned func(q Q, a *A) bool
}

// inquirer is who asks a role.
type inquirer struct {
	own bool        // the node, or one of its own people
	not role.Tenant // if it is a sliver, its slice
}

// answered is a verified answer, and whose it is.
type answered[A any] struct {
	answer  A
	tenant  role.Tenant
	instead string // who was asked before, and why that was none
	own     bool   // the node's owner says so too
}

// inquiry is a question as an office has it; q is what want makes of it.
func (c decision[Q, A]) inquiry(ctx context.Context, who inquirer, q *Q) (inquiry, error) {
	if err := c.want(q); err != nil {
		return inquiry{}, fmt.Errorf("%w: %w", api.ErrBadRequest, err)
	}
	raw, err := json.Marshal(q)
	if err != nil {
		return inquiry{}, fmt.Errorf("writing the question: %w", err)
	}
	return inquiry{call: c.call, ask: raw, own: who.own, not: who.not,
		read: func(t role.Tenant, _ bool) reading { return decided[Q, A]{c, *q, ctx, t} },
		compare: func(given, other any) (float64, bool) {
			g, o := given.(A), other.(A)
			return c.agree(*q, g, o), c.idle == nil || !c.idle(*q, g, o)
		}}, nil
}

// ask has the role's tenants answer.
func (c decision[Q, A]) ask(ctx context.Context, d *Daemon, who inquirer, q Q) (out answered[A], err error) {
	inq, err := c.inquiry(ctx, who, &q)
	if err != nil {
		return out, err
	}
	o := d.roles.offices[c.role]
	if o == nil {
		return out, fmt.Errorf("%w: role %s cannot be handed over yet", api.ErrRole, c.role)
	}
	id, a := o.begin(inq)
	select {
	case <-ctx.Done():
		o.abandon(id)
		return out, context.Cause(ctx)
	case v := <-a.result:
		if v.err != nil {
			return out, v.err
		}
		out = answered[A]{answer: v.answer.(A), tenant: v.tenant, instead: v.instead}
		if c.owned != nil {
			out.own = c.owned(q, &out.answer)
		}
		return out, nil
	}
}

// askJSON is ask for who has the question and wants the answer as the page has them.
func (c decision[Q, A]) askJSON(ctx context.Context, d *Daemon, who inquirer, ask json.RawMessage) (out api.RoleAnswer, err error) {
	var q Q
	if err := exact(ask, &q); err != nil {
		return out, fmt.Errorf("%w: %w", api.ErrBadRequest, err)
	}
	a, err := c.ask(ctx, d, who, q)
	if err != nil {
		return out, err
	}
	out = api.RoleAnswer{Tenant: string(a.tenant), Instead: a.instead, Own: a.own}
	out.Answer, err = json.Marshal(a.answer)
	return out, err
}

// decided takes one tenant's answer.
type decided[Q, A any] struct {
	decision[Q, A]
	q   Q
	ctx context.Context // of who asks
	by  role.Tenant
}

func (decided[Q, A]) part(json.RawMessage) error {
	return fmt.Errorf("%w: a part, where the answer is one line", errLie)
}

func (r decided[Q, A]) end(raw json.RawMessage) (any, error) {
	var a A
	if err := exact(raw, &a); err != nil {
		return nil, fmt.Errorf("%w: an end that is none: %w", errLie, err)
	}
	if err := r.check(r.q, &a); err != nil {
		return nil, fmt.Errorf("%w: %w", errLie, err)
	}
	if r.whose != nil {
		if err := r.whose(r.ctx, r.by, a); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// askable is a decision whose types do not matter.
type askable interface {
	askJSON(ctx context.Context, d *Daemon, who inquirer, ask json.RawMessage) (api.RoleAnswer, error)
}

// decisions are all calls that are answered whole, by role and call.
func (d *Daemon) decisions() map[string]map[string]askable {
	return map[string]map[string]askable{
		"names":     {"lookup": d.lookup(), "reverse": d.reverse(), "credentials": d.credentials()},
		"bootstrap": {"contacts": d.contacts()},
		"keeper":    {"keep": d.keeping()},
		"monitor":   {"health": d.health()},
		"topology":  {"near": d.near(), "paths": d.paths()},
		"updates":   {"which": d.which()},
		"allocator": {"decide": d.decide()},
		"packets":   {"program": d.program()},
	}
}

// AskRole puts a question of this machine's people to a role.
func (r *roles) AskRole(ctx context.Context, name, call string, ask json.RawMessage) (api.RoleAnswer, error) {
	if _, err := role.Lookup(name); err != nil {
		return api.RoleAnswer{}, fmt.Errorf("%w: %w", api.ErrNoRole, err)
	}
	c, ok := r.d.decisions()[name][call]
	if !ok {
		return api.RoleAnswer{}, fmt.Errorf("%w: role %s has no call %.40q that is asked so", api.ErrRole, name, call)
	}
	return c.askJSON(ctx, r.d, inquirer{own: true}, ask)
}

// replies is a built-in tenant whose answers are whole: what answers each call.
type replies map[string]func(context.Context, json.RawMessage) (any, error)

// Call answers a question, behind the same messages as any successor.
func (r replies) Call(ctx context.Context, what role.Call, ask json.RawMessage, _ func(json.RawMessage) error) (json.RawMessage, error) {
	f := r[what.Name]
	if f == nil {
		return nil, &role.Failure{Code: "call", Text: "unknown"}
	}
	a, err := f(ctx, ask)
	if err != nil {
		return nil, err
	}
	b, err := json.Marshal(a)
	if err == nil && len(b) > what.Bytes {
		err = errTooLong
	}
	return b, err
}

var errTooLong = errors.New("the answer has no room in a line")

// reply is a function of the messages of a call.
func reply[Q, A any](f func(context.Context, Q) (A, error)) func(context.Context, json.RawMessage) (any, error) {
	return func(ctx context.Context, ask json.RawMessage) (any, error) {
		var q Q
		if err := exact(ask, &q); err != nil {
			return nil, &role.Failure{Code: "ask", Text: err.Error()}
		}
		return f(ctx, q)
	}
}

// shared is how many of the longer of two lists are in both; lists have nothing twice.
func shared[T comparable](a, b []T) float64 {
	most := max(len(a), len(b))
	if most == 0 {
		return 1
	}
	in := make(map[T]bool, len(a))
	for _, x := range a {
		in[x] = true
	}
	same := 0
	for _, x := range b {
		if in[x] {
			same++
		}
	}
	return float64(same) / float64(most)
}

// repeats reports whether a list has something twice.
func repeats[T comparable](list []T) bool {
	seen := make(map[T]bool, len(list))
	for _, x := range list {
		if seen[x] {
			return true
		}
		seen[x] = true
	}
	return false
}
