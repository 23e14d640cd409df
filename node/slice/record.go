// SPDX-License-Identifier: Apache-2.0

package slice

import (
	"encoding/json"
	"fmt"

	"croft/lease"
)

// Record is what the owner of a slice keeps of it, so that ps, logs, exec, renew
// and stop know where to go. The signed leases in it are proof of what is due.
type Record struct {
	Slice   string          `json:"slice"` // the label
	Owner   lease.Principal `json:"owner"`
	Actor   lease.Principal `json:"actor,omitzero"` // who acts, where the owner lets another
	Slivers []Sliver        `json:"slivers"`
}

// Principal returns whose key signs what is done with the slice.
func (r Record) Principal() lease.Principal {
	if r.Actor.IsZero() {
		return r.Owner
	}
	return r.Actor
}

// named is the owner as a wish of the actor's names him.
func named(owner, actor lease.Principal) lease.Principal {
	if owner == actor {
		return lease.Principal{}
	}
	return owner
}

// Until is when the last of the leases ends, in Unix seconds; 0 without any.
func (r Record) Until() (until int64) {
	for _, s := range r.Slivers {
		until = max(until, s.Until)
	}
	return until
}

// Sliver is the part of a slice on one node.
type Sliver struct {
	Node   lease.Principal `json:"node"`
	Name   string          `json:"name"`            // of the node, for people
	Addrs  []string        `json:"addrs,omitempty"` // ways of reaching it
	Lease  lease.ID        `json:"lease"`
	Sliver string          `json:"sliver"` // stays when the lease is renewed
	From   int64           `json:"from"`   // Unix seconds
	Until  int64           `json:"until"`
	RSet   lease.RSet      `json:"rset"`
	Ports  []lease.Port    `json:"ports,omitempty"`
	Public string          `json:"public,omitempty"` // where the ports answer
	Signed []byte          `json:"signed"`           // the lease as the node signed it
	Redeem []byte          `json:"redeem,omitempty"` // what was drawn on a ticket for it
}

// sliverName returns the name of the sliver that a lease is for: the first 16
// characters of its first lease's id.
func sliverName(id lease.ID, l *lease.Lease) string {
	if !l.Sliver.IsZero() {
		id = l.Sliver
	}
	return id.String()[:16]
}

// newSliver is for a lease that was verified.
func newSliver(at Candidate, wish, o lease.Opened, l *lease.Lease) Sliver {
	var redeem []byte
	if wish.Kind() == lease.KindRedeem {
		redeem = wish.Signed.Bytes()
	}
	return Sliver{Redeem: redeem, Node: at.Node, Name: at.Name, Addrs: at.Addrs, Lease: o.ID, Sliver: sliverName(o.ID, l),
		From: l.From, Until: l.Until, RSet: l.RSet, Ports: l.Ports, Signed: o.Signed.Bytes()}
}

// Adopt returns the sliver as a node tells of it: under the lease that is in force
// now, whoever holds it. The signed lease must be the node's, for this slice. What
// was drawn for it on a ticket only this record can tell: see [Renewal].
func (r Record) Adopt(node lease.Principal, name string, signed []byte) (Sliver, error) {
	o, err := lease.Open(signed)
	if err != nil {
		return Sliver{}, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	l, ok := o.Statement.(*lease.Lease)
	if !ok {
		return Sliver{}, fmt.Errorf("a %s is no lease: %w", o.Kind(), ErrRecord)
	}
	s := Sliver{Node: node, Name: name, Lease: o.ID, Sliver: sliverName(o.ID, l), From: l.From, Until: l.Until, RSet: l.RSet,
		Ports: l.Ports, Signed: signed}
	for _, old := range r.Slivers {
		if old.Sliver == s.Sliver && old.Node == node {
			s.Addrs, s.Public = old.Addrs, old.Public
			if old.Lease == s.Lease {
				s.Redeem = old.Redeem
			}
		}
	}
	_, err = r.match(s)
	return s, err
}

// ParseRecord reads a stored record and checks it: each sliver's signed lease
// is of this slice and says what stands beside it.
func ParseRecord(b []byte) (r Record, err error) {
	if err := json.Unmarshal(b, &r); err != nil {
		return Record{}, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	if len(r.Slivers) > MaxNodes {
		return Record{}, fmt.Errorf("%d slivers, limit %d: %w", len(r.Slivers), MaxNodes, ErrRecord)
	}
	if err := lease.CheckLabel(r.Slice); err != nil {
		return Record{}, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	seen := map[lease.Principal]bool{}
	for _, s := range r.Slivers {
		if _, err := r.lease(s); err != nil {
			return Record{}, err
		}
		if seen[s.Node] {
			return Record{}, fmt.Errorf("two slivers on %s: %w", s.Name, ErrRecord)
		}
		seen[s.Node] = true
	}
	return r, nil
}

// lease opens a sliver's signed lease, and checks what was drawn for it.
func (r Record) lease(s Sliver) (*lease.Lease, error) {
	l, err := r.match(s)
	if err == nil {
		_, err = s.redeem(l, r.Principal())
	}
	return l, err
}

// match opens a sliver's signed lease, which must say what stands beside it.
func (r Record) match(s Sliver) (*lease.Lease, error) {
	o, err := lease.Open(s.Signed)
	if err != nil {
		return nil, fmt.Errorf("sliver on %s: %w: %w", s.Name, ErrRecord, err)
	}
	l, ok := o.Statement.(*lease.Lease)
	if !ok || o.ID != s.Lease || l.Node != s.Node || l.SliceOwner() != r.Owner || l.Slice != r.Slice ||
		l.From != s.From || l.Until != s.Until || l.RSet != s.RSet || sliverName(o.ID, l) != s.Sliver {
		return nil, fmt.Errorf("sliver on %s is not what its lease says: %w", s.Name, ErrRecord)
	}
	return l, nil
}

// redeem opens what was drawn on a ticket for a sliver's lease l; nil if l came
// without, or is another's.
func (s Sliver) redeem(l *lease.Lease, by lease.Principal) (*lease.Redeem, error) {
	if len(s.Redeem) == 0 {
		if l.Pool == lease.PoolSharp && l.Holder == by {
			return nil, fmt.Errorf("sliver on %s lacks the redeem behind its lease: %w", s.Name, ErrRecord)
		}
		return nil, nil
	}
	o, err := lease.Open(s.Redeem)
	if err != nil {
		return nil, fmt.Errorf("sliver on %s: %w: %w", s.Name, ErrRecord, err)
	}
	st, ok := o.Statement.(*lease.Redeem)
	if !ok || o.ID != l.Parent {
		return nil, fmt.Errorf("sliver on %s has another redeem than its lease: %w", s.Name, ErrRecord)
	}
	return st, nil
}

// Encode returns the form that ParseRecord reads.
func (r Record) Encode() []byte {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		panic(err) // nothing in a record fails to encode
	}
	return append(b, '\n')
}

func (r Record) line() []byte {
	b, err := json.Marshal(r)
	if err != nil {
		panic(err)
	}
	return b
}
