// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"time"

	"croft/ebpf/audit"
	"croft/lease"
	"croft/lease/offer"
	"croft/lease/sign"
	"croft/node/api"
	"croft/node/daemon"
)

// witnessWait is how long a witness has to say what it saw.
const witnessWait = 10 * time.Second

// saveDossier writes what nodes answered with all that bears it out: their proofs,
// what the witnesses of each saw of its log, and what ties the two together.
func (a *app) saveDossier(ctx context.Context, key *sign.Key, q api.WhoRequest, all []said, path string) error {
	var d audit.Dossier
	var tied []audit.OpenedHead
	for _, s := range all {
		if s.err != nil {
			continue
		}
		answer, err := audit.OpenAssertion(s.answer.Signed)
		if err != nil || answer.Node != s.node.Node {
			return fail(exitFailed, "", "%s: its answer is not signed as it should be: %w", s.node.Display(), errors.Join(err, lease.ErrSignature))
		}
		d.Answers = append(d.Answers, answer)
		if s.fork != nil {
			d.Proofs = append(d.Proofs, s.fork)
		}
		var heads []audit.OpenedHead
		for _, b := range s.answer.Proofs {
			p, err := audit.ReadProof(b)
			if err != nil {
				return fail(exitFailed, "", "%s: %w", s.node.Display(), err)
			}
			d.Proofs = append(d.Proofs, p)
			if shown, err := p.Verify(); err == nil && shown.Kind == audit.ProofInclusion {
				heads = append(heads, shown.Head)
			}
		}
		if len(heads) > 0 {
			words, forks := a.witnesses(ctx, key, s.node.Node)
			d.Words = append(d.Words, words...)
			for _, f := range forks {
				d.Proofs = append(d.Proofs, f)
			}
			for _, w := range words {
				heads = append(heads, w.Head)
			}
			tied = append(tied, heads...)
		}
	}
	d.Proofs = append(d.Proofs, a.tie(ctx, key, tied)...)
	var text bytes.Buffer
	fmt.Fprintf(&text, "Who sent %s -> %s, about %s?\nWhat nodes assert, and what bears it out: `croft audit verify` checks it on any machine.\n\n",
		q.Src, q.Dst, q.At.UTC().Format(time.RFC3339))
	text.Write(d.Text())
	err := writeNew(path, text.Bytes(), 0o644)
	if errors.Is(err, fs.ErrExist) {
		return usage("another name", "%s is there already", path)
	}
	if err != nil {
		return fmt.Errorf("writing the answer: %w", err)
	}
	a.say("written to %s: %d answers, %d proofs, %d witnesses", path, len(d.Answers), len(d.Proofs), len(d.Words))
	a.tellForks(ctx, d, all)
	if !d.Judge().Holds() {
		return fail(exitFailed, "see `croft audit verify "+path+"`", "what came does not hold together")
	}
	return nil
}

// tellForks has the way in tell the network of what the dossier proves and the way in
// does not know yet.
func (a *app) tellForks(ctx context.Context, d audit.Dossier, asked []said) {
	told := map[lease.Principal]bool{}
	for _, s := range asked {
		told[s.node.Node] = s.fork != nil
	}
	all := d.Judge().Forks
	for _, p := range d.Proofs {
		if f, ok := p.(*audit.Fork); ok {
			all = append(all, f)
		}
	}
	for _, f := range all {
		s, err := f.Verify()
		if err != nil || told[s.Head.Node] {
			continue
		}
		told[s.Head.Node] = true
		if _, err := a.way().TakeFork(ctx, f.Bytes()); err != nil {
			a.say("node %s has signed two logs, and the network was not told: %v", s.Head.Node.Short(), err)
			continue
		}
		a.say("node %s has signed two logs: the network is told", s.Head.Node.Short())
	}
}

// witnesses asks those who follow a node's log what they saw of it. Who does not
// answer is passed over: the rest is enough, and the file says how many there are.
func (a *app) witnesses(ctx context.Context, key *sign.Key, of lease.Principal) (words []audit.OpenedWitnessed, forks []*audit.Fork) {
	ctx, cancel := context.WithTimeout(ctx, witnessWait)
	defer cancel()
	res, err := a.seek(ctx, offer.FindRequest{View: true})
	if err != nil {
		return nil, nil
	}
	known := make([]audit.Candidate, len(res.Offers))
	for i, f := range res.Offers {
		known[i] = audit.Candidate{Node: f.Offer.Node, Site: daemon.SiteOf(f.Offer)}
	}
	var mu sync.Mutex
	var asking sync.WaitGroup
	for _, w := range audit.Witnesses(of, known) {
		asking.Go(func() {
			node := a.way().Node(w, key)
			defer node.Close()
			seen, err := node.Witnessed(ctx, of)
			if err != nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if word, err := audit.OpenWitnessed(seen.Word); err == nil && word.Witness == w && word.Head.Node == of {
				words = append(words, word)
			}
			if p, err := audit.ReadProof(seen.Fork); err == nil {
				if shown, err := p.Verify(); err == nil && shown.Kind == audit.ProofFork && shown.Head.Node == of {
					forks = append(forks, p.(*audit.Fork))
				}
			}
		})
	}
	asking.Wait()
	slices.SortFunc(words, func(x, y audit.OpenedWitnessed) int { return bytes.Compare(x.Witness[:], y.Witness[:]) })
	return words, forks[:min(len(forks), 1)]
}

// tie has each node show how its log goes on from heads of it, and returns what
// that proves.
func (a *app) tie(ctx context.Context, key *sign.Key, heads []audit.OpenedHead) (proofs []audit.Proof) {
	ctx, cancel := context.WithTimeout(ctx, witnessWait)
	defer cancel()
	done := map[lease.ID]bool{}
	for _, h := range heads {
		if done[h.ID] {
			continue
		}
		done[h.ID] = true
		node := a.way().Node(h.Node, key)
		l, err := node.Log(ctx, h.Size)
		node.Close()
		if err != nil {
			continue // `audit verify` says which heads are not tied to one another
		}
		g := audit.Growth{Head: l.Head, Path: l.Path}
		if l.Root != nil {
			g.Root = *l.Root
		}
		now, on, fork, err := g.After(h)
		switch {
		case fork != nil:
			proofs = append(proofs, fork)
		case err == nil && now.ID != h.ID:
			proofs = append(proofs, on)
		}
	}
	return proofs
}
