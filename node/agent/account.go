// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"slices"

	"croft/lease"
)

// Account is who gave how much to whom since the agent began. It counts what was
// promised: an amount for an hour is one resource·hour, whether it was used or
// not. There is no currency in it: it is for people to look at.
type Account struct {
	Parties []Party               `json:"parties"` // by name
	Counted map[lease.ID]int64    `json:"counted"` // tickets counted, and when they end: none counts twice
	Blamed  map[lease.ID]struct{} `json:"blamed"`  // proofs counted
}

// Party is one line of the account: a peer, the own site, or one of its people.
type Party struct {
	Name      string          `json:"name"`
	Principal lease.Principal `json:"principal"`
	Given     Hours           `json:"given"`     // by us to it
	Taken     Hours           `json:"taken"`     // by us from it
	Refused   int             `json:"refused"`   // wishes of its that we did not grant
	Refusals  int             `json:"refusals"`  // tickets on its nodes that were refused there
	Silent    int             `json:"silent"`    // times that a node of its did not answer
	Conflicts int             `json:"conflicts"` // proofs against it
}

// Hours is an amount of each resource times hours.
type Hours [lease.NumResources]float64

func (h *Hours) add(s lease.RSet, t lease.Term) {
	for r, v := range s {
		h[r] += float64(v) * float64(t.Seconds()) / 3600
	}
}

// MarshalJSON writes the resources by name, those that are not zero.
func (h Hours) MarshalJSON() ([]byte, error) {
	named := map[string]float64{}
	for r, v := range h {
		if v != 0 {
			named[lease.Resource(r).String()] = v
		}
	}
	return json.Marshal(named)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (h *Hours) UnmarshalJSON(b []byte) error {
	var named map[string]float64
	if err := json.Unmarshal(b, &named); err != nil {
		return err
	}
	*h = Hours{}
	for name, v := range named {
		r, err := lease.ParseResource(name)
		if err != nil {
			return err
		}
		h[r] = v
	}
	return nil
}

// clone returns a copy that shares nothing.
func (a Account) clone() Account {
	return Account{Parties: slices.Clone(a.Parties), Counted: maps.Clone(a.Counted), Blamed: maps.Clone(a.Blamed)}
}

// party returns the line of a principal, made if need be.
func (a *Account) party(name string, who lease.Principal) *Party {
	for i := range a.Parties {
		if a.Parties[i].Principal == who {
			return &a.Parties[i]
		}
	}
	a.Parties = append(a.Parties, Party{Name: name, Principal: who})
	slices.SortFunc(a.Parties, func(x, y Party) int {
		return cmp.Or(cmp.Compare(x.Name, y.Name), bytes.Compare(x.Principal[:], y.Principal[:]))
	})
	return a.party(name, who)
}

// count reports whether a ticket was not counted yet, and counts it.
func (a *Account) count(id lease.ID, until int64) bool {
	if _, ok := a.Counted[id]; ok {
		return false
	}
	if a.Counted == nil {
		a.Counted = map[lease.ID]int64{}
	}
	a.Counted[id] = until
	return true
}

// blame reports whether a proof was not counted yet, and counts it.
func (a *Account) blame(id lease.ID) bool {
	if _, ok := a.Blamed[id]; ok {
		return false
	}
	if a.Blamed == nil {
		a.Blamed = map[lease.ID]struct{}{}
	}
	a.Blamed[id] = struct{}{}
	return true
}

// forget drops the tickets that ended an hour ago: no book has them any more.
func (a *Account) forget(now int64) {
	for id, until := range a.Counted {
		if until+3600 < now {
			delete(a.Counted, id)
		}
	}
}
