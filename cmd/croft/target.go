// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"croft/lease"
	"croft/lease/sign"
	"croft/node/api"
	"croft/node/client"
	"croft/node/slice"
)

// target is a slice that a command is about, and in whose name it is done.
type target struct {
	slice.Record
	key       *sign.Key
	authority []byte // nil: it is the person's own
	own       int    // of the slivers, how many stand in the person's own record: the first
}

// node is the channel to a node for the target.
func (a *app) node(t target, node lease.Principal) *client.Node {
	n := a.way().Node(node, t.key)
	if t.authority != nil {
		n.Under(t.authority)
	}
	return n
}

// target finds a slice by the name that people type: LABEL is one's own, and so
// is LABEL@you; LABEL@OWNER is another's, or one's own where OWNER begins as the
// person's own principal does. Of another's slice one must hold a grant for one
// of the verbs; its nodes say what runs.
func (a *app) target(ctx context.Context, name string, any lease.Verbs) (target, error) {
	label, owner, foreign := strings.Cut(name, "@")
	if !foreign || owner == "you" {
		return a.ownTarget(ctx, name)
	}
	if err := lease.CheckLabel(label); err != nil {
		return target{}, usage("", "slice: %w", err)
	}
	key, err := a.known()
	if err != nil {
		return target{}, err
	}
	if key != nil && owner != "" && strings.HasPrefix(key.Principal().String(), owner) {
		return a.ownTarget(ctx, label)
	}
	grants, err := a.choose(label, owner, principalOf(key), any)
	if err != nil {
		return target{}, err
	}
	return a.granted(ctx, grants, label, key)
}

// ownTarget is a slice of the person's own. Where others may run or renew for its
// owner, its nodes are asked first: leases in the record here may have been
// replaced, and there may be slivers that others run.
func (a *app) ownTarget(ctx context.Context, name string) (target, error) {
	rec, err := a.slice(name)
	if err != nil {
		return target{}, err
	}
	key, err := a.known()
	if err == nil && key == nil {
		err = fail(exitFailed, "bring it back, or name another with --key", "your key %s, which slice %s was made with, is not there", a.keyPath(), rec.Slice)
	}
	if err != nil {
		return target{}, err
	}
	t := target{Record: rec, key: key, own: len(rec.Slivers)}
	if p, err := a.published(rec.Slice); err != nil || !p.lets(lease.VerbRun|lease.VerbRenew) {
		return t, err
	}
	live, _ := a.survey(ctx, t, union(nodesOf(rec), a.keptNodes(ctx, t))) // who does not answer is told of when something is asked of it
	for _, l := range live {
		at := slices.IndexFunc(t.Slivers, func(s slice.Sliver) bool { return l.Sliver == s.Sliver && l.Node == s.Node })
		if at >= 0 {
			t.Slivers[at] = l
		} else {
			t.Slivers = append(t.Slivers, l)
		}
	}
	return t, nil
}

func nodesOf(rec slice.Record) (nodes []lease.Principal) {
	for _, s := range rec.Slivers {
		nodes = append(nodes, s.Node)
	}
	return nodes
}

// granted is another's slice, as its newest record and its nodes tell.
func (a *app) granted(ctx context.Context, grants []heldGrant, label string, key *sign.Key) (target, error) {
	authority, nodes, err := a.authority(ctx, grants, label)
	if err != nil {
		return target{}, err
	}
	t := target{Record: slice.Record{Slice: label, Owner: grants[0].Issuer, Actor: key.Principal()}, key: key, authority: authority}
	kept, err := a.keptRecord(t.Record)
	if err != nil {
		return t, err
	}
	t.Slivers = kept.Slivers // for their names
	nodes = union(nodes, nodesOf(kept))
	var out []outcome
	t.Slivers, out = a.survey(ctx, t, nodes)
	if len(t.Slivers) == 0 && len(nodes) > 0 {
		return t, a.summary(out)
	}
	for _, o := range out {
		if o.err != nil {
			a.say("%s: %s", o.name, plain(o.err))
		}
	}
	return t, nil
}

// authority is what to show for a slice of another's: the first of the grants
// that stands on the newest record that can be had. It returns the nodes where to
// look for the slice's slivers too.
func (a *app) authority(ctx context.Context, grants []heldGrant, label string) ([]byte, []lease.Principal, error) {
	records := map[string]lease.OpenedSlice{}
	for _, of := range []string{label, ""} {
		r, err := a.lookUp(ctx, grants[0].Issuer, of)
		if err != nil && !errors.Is(err, api.ErrNoRecord) {
			return nil, nil, err
		}
		records[of] = r
	}
	for _, g := range grants { // what came with a grant may be newer
		if g.Record.Newer(records[g.Slice]) {
			records[g.Slice] = g.Record
		}
	}
	for _, g := range grants {
		on, err := g.On(records[g.Slice])
		if err != nil {
			return nil, nil, err
		}
		if on.Record.Lists(g.ID) {
			return on.Bytes(), union(records[label].Nodes, records[""].Nodes), nil
		}
	}
	return nil, nil, fail(exitRefused, "ask its owner for another", "your grant for %s was taken back", grants[0].name())
}

func union(lists ...[]lease.Principal) []lease.Principal {
	all := slices.Concat(lists...)
	slices.SortFunc(all, func(x, y lease.Principal) int { return slices.Compare(x[:], y[:]) })
	return slices.Compact(all)
}

// name is the slice as the person types it.
func (t target) name() string {
	if t.Actor.IsZero() {
		return t.Slice
	}
	return sliceAt(t.Slice, t.Owner)
}

// rounds splits what the target names into records that have one sliver a node,
// as the machines of package slice want: of another's slice there may be more,
// and of one's own too where others run for it. Those of others are kept apart
// from what is kept of one's own.
func (t target) rounds() (list []slice.Record) {
	if t.own > 0 {
		r := t.Record
		r.Slivers = t.Slivers[:t.own]
		list = append(list, r)
	}
	first := len(list)
	for _, s := range t.Slivers[t.own:] {
		at := first
		for at < len(list) && slices.Contains(nodesOf(list[at]), s.Node) {
			at++
		}
		if at == len(list) {
			list = append(list, slice.Record{Slice: t.Slice, Owner: t.Owner, Actor: t.key.Principal()})
		}
		list[at].Slivers = append(list[at].Slivers, s)
	}
	return list
}

// lookUp asks the way in for a slice's record and judges it.
func (a *app) lookUp(ctx context.Context, owner lease.Principal, label string) (lease.OpenedSlice, error) {
	b, err := a.way().Record(ctx, owner, label)
	if err != nil {
		return lease.OpenedSlice{}, err
	}
	r, err := lease.OpenSlice(b)
	if err == nil {
		err = r.IsOf(owner, label)
	}
	return r, err
}

// survey asks nodes which slivers of a slice they have, all at once.
func (a *app) survey(ctx context.Context, t target, nodes []lease.Principal) ([]slice.Sliver, []outcome) {
	out := make([]outcome, len(nodes))
	found := make([][]slice.Sliver, len(nodes))
	slots := make(chan struct{}, groupLimit)
	var wg sync.WaitGroup
	for i, node := range nodes {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			name := node.Short()
			for _, s := range t.Slivers {
				if s.Node == node {
					name = s.Name
				}
			}
			n := a.node(t, node)
			defer n.Close()
			ctx, cancel := context.WithTimeout(ctx, callLimit)
			defer cancel()
			list, err := n.Slivers(ctx)
			for _, s := range list {
				if s.Owner != t.Owner || s.Slice != t.Slice {
					continue
				}
				sliver, bad := t.Adopt(node, name, s.Signed)
				if bad != nil {
					err = bad
					continue
				}
				sliver.Public = s.Public
				found[i] = append(found[i], sliver)
			}
			out[i] = outcome{name, err}
		})
	}
	wg.Wait()
	return newestOf(slices.Concat(found...)), out
}

// newestOf keeps one lease a sliver, the one that lasts longest: while one is
// replaced by the next, a node has two.
func newestOf(list []slice.Sliver) (out []slice.Sliver) {
	for _, s := range list {
		at := slices.IndexFunc(out, func(o slice.Sliver) bool { return o.Node == s.Node && o.Sliver == s.Sliver })
		switch {
		case at < 0:
			out = append(out, s)
		case out[at].From < s.From || out[at].From == s.From && out[at].Until < s.Until:
			out[at] = s
		}
	}
	return out
}
