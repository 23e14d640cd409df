// SPDX-License-Identifier: Apache-2.0

package keep

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"
	"strconv"

	"croft/lease"
)

// State is what is seen of a sliver.
type State string

const (
	Starts State = "starts" // leased, or on its way to running
	Runs   State = "runs"
	Ended  State = "ended"  // its program is over, or would not start; the lease may go on
	Unseen State = "unseen" // its node gives no answer
)

// The messages of keeper/1: docs/roles/keeper.md.
type (
	// Question is a slice and what is seen of it. Times are as of the question.
	Question struct {
		Slice      string      `json:"slice"` // label@owner
		Want       int         `json:"want"`
		May        int         `json:"may"` // new slivers at the most
		Term       int64       `json:"term_s"`
		Left       int64       `json:"left_s"` // until the charge ends
		Slivers    []Member    `json:"slivers,omitempty"`
		Candidates []Candidate `json:"candidates,omitempty"` // the best first
	}
	// Member is what is seen of a sliver.
	Member struct {
		Sliver string          `json:"sliver"`
		Node   lease.Principal `json:"node"`
		State  State           `json:"state"`
		Left   int64           `json:"left_s"`
		Unseen int64           `json:"unseen_s,omitempty"`
		Health string          `json:"health,omitempty"` // of the node, as the role monitor has it
		Due    bool            `json:"due,omitempty"`    // it may be renewed
		Lost   bool            `json:"lost,omitempty"`   // it may be replaced
	}
	// Candidate is a node on which a sliver may run.
	Candidate struct {
		Node    lease.Principal `json:"node"`
		Country string          `json:"country,omitempty"`
		City    string          `json:"city,omitempty"`
		RTT     int64           `json:"rtt_us,omitempty"`
	}
	// Decision is what to do.
	Decision struct {
		Renew   []string          `json:"renew,omitempty"`
		Replace []Replacement     `json:"replace,omitempty"`
		Add     []lease.Principal `json:"add,omitempty"`
	}
	// Replacement is a new sliver in the stead of one that is lost.
	Replacement struct {
		Sliver string          `json:"sliver"`
		Node   lease.Principal `json:"node"`
	}
)

// Check returns an error for a question that makes no sense, as [ErrQuestion].
func (q Question) Check() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: "+format, append([]any{ErrQuestion}, args...)...)
	}
	switch {
	case q.Want < 1 || q.Want > MaxWant, q.May < 0 || q.May > q.Want:
		return bad("%d wanted, %d may be new", q.Want, q.May)
	case len(q.Slivers) > MaxSlivers || len(q.Candidates) > MaxCandidates:
		return bad("%d slivers, limit %d, or %d candidates, limit %d", len(q.Slivers), MaxSlivers, len(q.Candidates), MaxCandidates)
	case len(q.Slice) > 128:
		return bad("a slice's name of %d bytes", len(q.Slice))
	}
	names, nodes := map[string]bool{}, map[lease.Principal]bool{}
	due := 0
	for _, s := range q.Slivers {
		if len(s.Sliver) == 0 || len(s.Sliver) > 16 || names[s.Sliver] || s.Node.IsZero() {
			return bad("sliver %.20q is none, or there twice", s.Sliver)
		}
		if s.Due && s.Lost || !slices.Contains([]State{Starts, Runs, Ended, Unseen}, s.State) {
			return bad("sliver %s cannot be so", s.Sliver)
		}
		names[s.Sliver] = true
		if s.Due {
			due++
		}
	}
	if due > q.Want {
		return bad("%d are due, %d wanted", due, q.Want)
	}
	for _, c := range q.Candidates {
		if c.Node.IsZero() || nodes[c.Node] {
			return bad("candidate %s is none, or there twice", c.Node.Short())
		}
		nodes[c.Node] = true
	}
	return nil
}

// Verify returns an error, [ErrDecision], for a decision that goes beyond its question.
func (q Question) Verify(d Decision) error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: "+format, append([]any{ErrDecision}, args...)...)
	}
	if n := len(d.Replace) + len(d.Add); n > q.May {
		return bad("%d new slivers where %d may be", n, q.May)
	}
	slivers, candidates := map[string]Member{}, map[lease.Principal]bool{}
	for _, s := range q.Slivers {
		slivers[s.Sliver] = s
	}
	for _, c := range q.Candidates {
		candidates[c.Node] = true
	}
	take := func(node lease.Principal) error {
		if !candidates[node] {
			return bad("%s is no candidate, or taken twice", node.Short())
		}
		delete(candidates, node)
		return nil
	}
	for _, name := range d.Renew {
		if !slivers[name].Due {
			return bad("it renews %.20q, which is not due, or renewed already", name)
		}
		delete(slivers, name)
	}
	for _, r := range d.Replace {
		if !slivers[r.Sliver].Lost {
			return bad("it replaces %.20q, which is not lost, or replaced already", r.Sliver)
		}
		delete(slivers, r.Sliver)
		if err := take(r.Node); err != nil {
			return err
		}
	}
	for _, node := range d.Add {
		if err := take(node); err != nil {
			return err
		}
	}
	return nil
}

// Acts are what a decision does, for comparing: which node runs what is new does not
// matter.
func (d Decision) Acts() (list []string) {
	for _, s := range d.Renew {
		list = append(list, "renew "+s)
	}
	for _, r := range d.Replace {
		list = append(list, "replace "+r.Sliver)
	}
	for i := range d.Add {
		list = append(list, "add "+strconv.Itoa(i))
	}
	return list
}

// Order sorts candidates so that all who keep a slice think of the same nodes first,
// and other slices of others.
func Order(owner lease.Principal, slice string, list []Candidate) {
	rank := func(c Candidate) []byte {
		h := sha256.New()
		h.Write(owner[:])
		h.Write(c.Node[:])
		h.Write([]byte(slice))
		return h.Sum(nil)
	}
	slices.SortFunc(list, func(a, b Candidate) int { return bytes.Compare(rank(a), rank(b)) })
}
