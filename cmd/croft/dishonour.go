// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"

	"croft/lease"
	"croft/node/api"
)

// examine looks at what a node signed when it refused a redeem. If the refusal is
// one that an honest node cannot give, or what is attached does not bear it out,
// that is proof against the node; if the node shows that somebody else promised
// too much, that is proof against him. Either is kept, and the person is told.
func (a *app) examine(chain [][]byte, answer api.Answer) {
	if answer.Refusal == nil || len(answer.Statements) == 0 || len(chain) < 3 {
		return // what is not signed, or answers no ticket, proves nothing
	}
	redeem, err := lease.Open(chain[len(chain)-1])
	if err != nil {
		return // our own: it opens
	}
	said, err := lease.VerifyAnswer(redeem, answer.Statements[0])
	if err != nil {
		a.say("  the node's refusal is not signed by it: %s", err)
		return
	}
	reject, ok := said.Statement.(*lease.Reject)
	if !ok {
		return
	}
	attached := answer.Refusal.Attachment
	against := lease.Proof{K: lease.ProofUnfilled, Chain: chain, Evidence: [][]byte{answer.Statements[0], attached}}
	if reject.Sort == lease.Local {
		against.K = lease.ProofRefused
		if reject.Attached.IsZero() {
			against.Evidence = against.Evidence[:1]
		}
	}
	shown, err := against.Verify()
	switch {
	case err == nil:
		a.found(against, shown, "the node does not honour what it promised")
	case errors.Is(err, lease.ErrProofAttachment):
		a.say("  what came with the refusal is not what the node signed, so that it proves nothing: ask again")
	case reject.Sort == lease.OverIssued:
		if p, shown, err := lease.VerifyProof(attached); err == nil {
			a.found(p, shown, "the node shows that "+shown.Principal.Short()+" promised more than it had")
		}
	case reject.Sort == lease.Oversubscribed:
		if f, err := lease.ParseFilling(attached); err == nil {
			a.say("  %s is full, as the node shows: %d draws on it; it was oversubscribed, and nobody is to blame", reject.About.Short(), len(f))
		}
	}
}

// examineEnd looks at how a node ends a lease. A revoke without the grace that
// the lease states is proof against the node.
func (a *app) examineEnd(s *api.Sliver) {
	if len(s.End) == 0 {
		return
	}
	if of, err := lease.Open(s.Signed); err == nil { // the node may show no lease: then there is nothing to hold against it
		if text := endedBy(of, s.End, a.held()); text != "" {
			a.say("  %s: %s", s.Sliver, text)
		}
	}
	against := lease.Proof{K: lease.ProofGrace, Evidence: [][]byte{s.Signed, s.End}}
	if shown, err := against.Verify(); err == nil {
		a.found(against, shown, "the node takes the lease back without the grace that it promised")
	}
}

// endedBy says what is wrong with an end that a node shows: that it ends nothing,
// or that somebody signed it whom no grant lets that is kept here.
func endedBy(of lease.Opened, end []byte, grants []heldGrant) string {
	_, err := lease.VerifyEnd(of, end)
	if !errors.Is(err, lease.ErrNotHolder) {
		if err != nil {
			return "what the node shows ends nothing: " + err.Error()
		}
		return ""
	}
	for _, g := range grants {
		if _, err := lease.VerifyGrantedEnd(of, end, g.Authority); err == nil {
			return ""
		}
	}
	o, opens := lease.Open(end)
	if opens != nil {
		return "what the node shows ends nothing: " + opens.Error()
	}
	return "closed by " + o.By().Short() + ", whom no grant that is kept here lets: ask the slice's owner, or the node"
}

// found keeps a proof and says what to do with it.
func (a *app) found(p lease.Proof, shown lease.Verdict, text string) {
	path, err := a.saveProof(p, shown)
	if err != nil {
		a.say("  %s, but the proof could not be kept: %s", text, err)
		return
	}
	a.say("  %s (%s)\n  the proof is in %s; to tell the network: croft conflict publish %s", text, shown.Kind, path, path)
}
