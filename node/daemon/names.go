// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"croft/lease"
	"croft/lease/sign"
)

// The messages of names/1: docs/roles/names.md.
type (
	lookupAsk struct {
		Name petname `json:"name"`
	}
	lookupDone struct {
		Group      bool              `json:"group,omitempty"`
		Principals []lease.Principal `json:"principals,omitempty"`
	}
	reverseAsk struct {
		Principals []lease.Principal `json:"principals"`
	}
	reverseDone struct {
		Names []named `json:"names,omitempty"`
	}
	named struct {
		Principal lease.Principal `json:"principal"`
		Name      petname         `json:"name"`
	}
	credentialsAsk struct {
		Holder lease.Principal `json:"holder"`
		Slice  string          `json:"slice,omitempty"`
		Owner  lease.Principal `json:"owner,omitzero"`
	}
	credentialsDone struct {
		Credentials [][]byte `json:"credentials,omitempty"`
	}
)

// petname is what somebody calls a principal or a group.
type petname string

// check returns an error for what is no name.
func (n petname) check() error {
	ok := len(n) > 0 && len(n) <= maxPetname && n[0] >= 'a' && n[0] <= 'z' && !strings.ContainsFunc(string(n), func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '.' || r == '_' || r == '-')
	})
	if !ok {
		return fmt.Errorf("name %.40q: want 1 to %d of a-z 0-9 . _ -, a letter first", string(n), maxPetname)
	}
	return nil
}

// checkPrincipals returns an error for a list that has too many, or one twice.
func checkPrincipals(list []lease.Principal) error {
	switch {
	case len(list) > maxNamed:
		return fmt.Errorf("%d principals, limit %d", len(list), maxNamed)
	case slices.Contains(list, lease.Principal{}):
		return errors.New("a principal that is none")
	case repeats(list):
		return errors.New("a principal twice")
	}
	return nil
}

// lookup is the call: a name → whose it is.
func (d *Daemon) lookup() decision[lookupAsk, lookupDone] {
	return decision[lookupAsk, lookupDone]{role: "names", call: "lookup",
		want: func(q *lookupAsk) error {
			q.Name = petname(strings.ToLower(string(q.Name)))
			return q.Name.check()
		},
		check: func(q lookupAsk, a *lookupDone) error {
			if err := checkPrincipals(a.Principals); err != nil {
				return err
			}
			if a.Group && len(a.Principals) == 0 || !a.Group && len(a.Principals) > 1 {
				return fmt.Errorf("%d principals of a name, group: %t", len(a.Principals), a.Group)
			}
			own, ok := d.book.now().entry(q.Name)
			if !ok || len(a.Principals) == 0 {
				return nil
			}
			if own.Group != a.Group || shared(own.Principals, a.Principals) < 1 {
				return fmt.Errorf("it says that %s is another than in the owner's book", q.Name)
			}
			return nil
		},
		agree: func(_ lookupAsk, given, other lookupDone) float64 {
			if given.Group != other.Group {
				return 0
			}
			return shared(given.Principals, other.Principals)
		},
		idle: func(_ lookupAsk, given, other lookupDone) bool {
			return len(given.Principals)+len(other.Principals) == 0
		},
		owned: func(q lookupAsk, a *lookupDone) bool {
			own, ok := d.book.now().entry(q.Name)
			if ok {
				*a = lookupDone{Group: own.Group, Principals: slices.Clone(own.Principals)}
			}
			return ok
		}}
}

// reverse is the call: principals → what they are called.
func (d *Daemon) reverse() decision[reverseAsk, reverseDone] {
	return decision[reverseAsk, reverseDone]{role: "names", call: "reverse",
		want: func(q *reverseAsk) error {
			if len(q.Principals) == 0 {
				return errors.New("no principal")
			}
			return checkPrincipals(q.Principals)
		},
		check: func(q reverseAsk, a *reverseDone) error {
			book := d.book.now()
			var seen []lease.Principal
			for _, n := range a.Names {
				if err := n.Name.check(); err != nil {
					return err
				}
				if !slices.Contains(q.Principals, n.Principal) || slices.Contains(seen, n.Principal) {
					return fmt.Errorf("it names %s, who was not asked about, or twice", n.Principal.Short())
				}
				seen = append(seen, n.Principal)
				if own, ok := book.entry(n.Name); ok && (own.Group || own.Principals[0] != n.Principal) {
					return fmt.Errorf("it says that %s is another than in the owner's book", n.Name)
				}
			}
			slices.SortFunc(a.Names, func(x, y named) int { return cmp.Compare(x.Name, y.Name) })
			return nil
		},
		agree: func(_ reverseAsk, given, other reverseDone) float64 { return shared(given.Names, other.Names) },
		idle:  func(_ reverseAsk, given, other reverseDone) bool { return len(given.Names)+len(other.Names) == 0 },
		owned: func(q reverseAsk, a *reverseDone) bool {
			book, all := d.book.now(), true
			var names []named // one list per answer: another reader has the old one
			for _, p := range q.Principals {
				name := book.people[p]
				i := slices.IndexFunc(a.Names, func(n named) bool { return n.Principal == p })
				if name == "" && i >= 0 {
					name, all = a.Names[i].Name, false
				}
				if name != "" {
					names = append(names, named{p, name})
				}
			}
			slices.SortFunc(names, func(x, y named) int { return cmp.Compare(x.Name, y.Name) })
			a.Names = names
			return all && len(names) > 0
		}}
}

// credentials is the call: a holder → what lets him act on slices of others.
func (d *Daemon) credentials() decision[credentialsAsk, credentialsDone] {
	return decision[credentialsAsk, credentialsDone]{role: "names", call: "credentials",
		want: func(q *credentialsAsk) error {
			if q.Holder.IsZero() {
				return errors.New("no holder")
			}
			if q.Slice == "" {
				return nil
			}
			return lease.CheckLabel(q.Slice)
		},
		check: func(q credentialsAsk, a *credentialsDone) error {
			if len(a.Credentials) > maxCredentials {
				return fmt.Errorf("%d credentials, limit %d", len(a.Credentials), maxCredentials)
			}
			now := d.deps.Clock.Wall().Unix()
			var hold [][]byte
			var ids []lease.ID
			for _, b := range a.Credentials {
				g, err := lease.OpenAuthority(b)
				switch {
				case err != nil:
					return fmt.Errorf("a credential that is none: %w", err)
				case !q.fits(g):
					return fmt.Errorf("a credential of %s over %s@%s, which was not asked about", g.Holder.Short(), g.Slice, g.Issuer.Short())
				case slices.Contains(ids, g.ID):
					return errors.New("a credential twice")
				}
				if ids = append(ids, g.ID); g.Term().Covers(now) {
					hold = append(hold, b)
				}
			}
			a.Credentials = hold
			return nil
		},
		agree: func(_ credentialsAsk, given, other credentialsDone) float64 {
			return shared(grantIDs(given.Credentials), grantIDs(other.Credentials))
		},
		idle: func(_ credentialsAsk, given, other credentialsDone) bool {
			return len(given.Credentials)+len(other.Credentials) == 0
		}}
}

// fits reports whether an authority is one that is asked for.
func (q credentialsAsk) fits(g lease.Authority) bool {
	return g.Holder == q.Holder && (q.Owner.IsZero() || g.Issuer == q.Owner) && (q.Slice == "" || g.Slice == q.Slice || g.Slice == "" && !q.Owner.IsZero())
}

// grantIDs are those of credentials that were verified.
func grantIDs(list [][]byte) (ids []lease.ID) {
	for _, b := range list {
		if g, err := lease.OpenAuthority(b); err == nil {
			ids = append(ids, g.ID)
		}
	}
	return ids
}

// parseNamed reads a principal as people write it in the book.
func parseNamed(s string) (lease.Principal, error) { return sign.ParsePrincipal(strings.TrimSpace(s)) }
