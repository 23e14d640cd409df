// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"croft/lease"
	"croft/node/role"
	"croft/sandbox/swarm"
)

// images asks who has an image, by whoever fills the role: docs/roles/images.md. What
// is answered is verified by fetching: a tenant that lies costs time.
type images struct {
	d      *Daemon
	digest lease.Digest
	size   int64
	among  []lease.Principal // who is to have it, by the word of who wants it run
}

// The role's messages.
type (
	imagesAsk struct {
		Digest lease.Digest      `json:"digest"`
		Size   int64             `json:"size"`
		Among  []lease.Principal `json:"among,omitempty"`
		Known  []lease.Principal `json:"known,omitempty"`
	}
	imagesPart struct {
		Nodes []lease.Principal `json:"nodes,omitempty"`
	}
	imagesDone struct{}
)

// holders tells nodes that may have the image, the best first: those that the role's
// tenant names, and all that were named with the wish, whom nobody can leave out.
func (i images) holders(ctx context.Context, tell func([]lease.Principal)) {
	own := i.d.deps.Key.Principal()
	among := slices.DeleteFunc(slices.Clone(i.among), func(p lease.Principal) bool { return p == own })
	late := time.AfterFunc(imagesPatience, func() { tell(among) }) // the fetch does not wait for who is slow
	nodes, err := i.ask(ctx, imagesAsk{i.digest, i.size, among, i.d.deps.Hosting.Swarm.Known(i.digest)})
	late.Stop()
	if err != nil {
		i.d.deps.Log.Debug("nobody says who has an image", "image", i.digest, "err", err)
	}
	tell(mixed(nodes, among))
}

// mixed keeps a tenant's order, with every node of among in it and no more than a
// fetch considers: a stranger in it makes room for one of among behind him, so that
// no number of strangers keeps them from being asked.
func mixed(named, among []lease.Principal) (out []lease.Principal) {
	var own, strangers []lease.Principal
	for _, n := range named {
		if slices.Contains(among, n) {
			own = append(own, n)
		}
	}
	for _, n := range among {
		if !slices.Contains(own, n) {
			own = append(own, n)
		}
	}
	room := swarm.MaxNamed - len(own)
	take := func(n lease.Principal) {
		if !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	for _, n := range named {
		switch {
		case slices.Contains(own, n):
			take(n)
		case len(strangers) < room:
			strangers = append(strangers, n)
			take(n)
			if i := slices.IndexFunc(own, func(n lease.Principal) bool { return !slices.Contains(out, n) }); i >= 0 {
				out = append(out, own[i])
			}
		}
	}
	for _, n := range own {
		take(n)
	}
	return out
}

// ask has the role's tenant answer.
func (i images) ask(ctx context.Context, q imagesAsk) ([]lease.Principal, error) {
	inq, err := q.inquiry()
	if err != nil {
		return nil, err
	}
	office := i.d.roles.offices[role.Images().Name]
	id, a := office.begin(inq)
	select {
	case <-ctx.Done():
		office.abandon(id)
		return nil, context.Cause(ctx)
	case v := <-a.result:
		if v.err != nil {
			return nil, v.err
		}
		return v.answer.(*imagesReading).nodes, nil
	}
}

// inquiry is the question as an office has it.
func (q imagesAsk) inquiry() (inquiry, error) {
	ask, err := json.Marshal(q)
	if err != nil {
		return inquiry{}, fmt.Errorf("writing the question: %w", err)
	}
	return inquiry{call: "holders", ask: ask,
		read:    func(role.Tenant, bool) reading { return &imagesReading{known: q.Known} },
		compare: func(given, other any) float64 { return imagesAgreement(given.(*imagesReading), other.(*imagesReading)) }}, nil
}

// imagesReading takes the answer of one tenant.
type imagesReading struct {
	known []lease.Principal
	nodes []lease.Principal
}

func (r *imagesReading) part(raw json.RawMessage) error {
	var p imagesPart
	if err := exact(raw, &p); err != nil {
		return fmt.Errorf("%w: a part that is none: %w", errLie, err)
	}
	for _, n := range p.Nodes {
		switch {
		case n.Check() != nil:
			return fmt.Errorf("%w: it names a node that is none", errLie)
		case slices.Contains(r.nodes, n):
			continue
		case len(r.nodes) >= swarm.MaxNamed:
			return fmt.Errorf("%w: it names more than %d nodes", errLie, swarm.MaxNamed)
		}
		r.nodes = append(r.nodes, n)
	}
	return nil
}

func (r *imagesReading) end(raw json.RawMessage) (any, error) {
	if err := exact(raw, &imagesDone{}); err != nil {
		return nil, fmt.Errorf("%w: an end that is none: %w", errLie, err)
	}
	return r, nil
}

// imagesAgreement is how many of the first nodes of two answers are the same. A node
// that asked this one for the image is right in any answer.
func imagesAgreement(given, other *imagesReading) float64 {
	a, b := given.nodes[:min(len(given.nodes), imagesCompared)], other.nodes[:min(len(other.nodes), imagesCompared)]
	most, same := max(len(a), len(b)), 0
	if most == 0 {
		return 1
	}
	for _, n := range b {
		if slices.Contains(given.nodes, n) || slices.Contains(other.known, n) {
			same++
		}
	}
	return float64(same) / float64(most)
}
