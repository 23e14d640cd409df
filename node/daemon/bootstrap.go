// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"croft/dht/contact"
	"croft/lease"
	"croft/node/role"
)

// The messages of bootstrap/1: docs/roles/bootstrap.md.
type (
	contactsAsk struct {
		Want int `json:"want"`
	}
	contactsDone struct {
		Contacts []contact.Contact `json:"contacts,omitempty"`
	}
)

// FirstContacts is what the node knows of contacts, and where the role bootstrap is of
// use to it.
type FirstContacts interface {
	// Remembered are those that were there longest, and what comes with the program last.
	Remembered() []contact.Contact
	// Dials is a contact with those addresses that this node dials, and false if there is
	// none, or it is this node.
	Dials(contact.Contact) (contact.Contact, bool)
	// Others has the role be asked for others.
	Others(ask func(ctx context.Context, want int) ([]contact.Contact, role.Tenant, error))
}

// contacts is the call: how many are wanted → who might be there.
func (d *Daemon) contacts() decision[contactsAsk, contactsDone] {
	return decision[contactsAsk, contactsDone]{role: "bootstrap", call: "contacts",
		want: func(q *contactsAsk) error {
			if q.Want < 1 || q.Want > contact.MaxContacts {
				return fmt.Errorf("%d contacts: want 1 to %d", q.Want, contact.MaxContacts)
			}
			return nil
		},
		check: func(_ contactsAsk, a *contactsDone) error {
			if len(a.Contacts) > contact.MaxContacts {
				return fmt.Errorf("%d contacts, limit %d", len(a.Contacts), contact.MaxContacts)
			}
			var fit []contact.Contact
			for _, c := range a.Contacts {
				if !c.Fits() {
					return fmt.Errorf("a contact that is none: %s", role.Printable(c.String(), role.MaxText/2))
				}
				if d.deps.Contacts != nil {
					var ok bool
					if c, ok = d.deps.Contacts.Dials(c); !ok {
						continue
					}
				}
				fit = append(fit, c)
			}
			if repeats(nodesOf(a.Contacts)) {
				return errors.New("a contact twice")
			}
			a.Contacts = fit
			return nil
		},
		agree: func(q contactsAsk, given, other contactsDone) float64 {
			met := nodesOf(given.Contacts)
			if d.deps.Contacts != nil {
				met = append(met, nodesOf(d.deps.Contacts.Remembered())...)
			}
			most, same := max(len(other.Contacts), min(len(given.Contacts), q.Want)), 0
			for _, node := range nodesOf(other.Contacts) {
				if slices.Contains(met, node) {
					same++
				}
			}
			if most == 0 {
				return 1
			}
			return float64(same) / float64(most)
		},
		idle: func(_ contactsAsk, given, other contactsDone) bool {
			return len(given.Contacts)+len(other.Contacts) == 0
		}}
}

func nodesOf(list []contact.Contact) (nodes []lease.Principal) {
	for _, c := range list {
		nodes = append(nodes, c.Node)
	}
	return nodes
}

// bootstrapped has first contacts be those of the role.
func (d *Daemon) bootstrapped(f FirstContacts) {
	f.Others(func(ctx context.Context, want int) ([]contact.Contact, role.Tenant, error) {
		a, err := d.contacts().ask(ctx, d, inquirer{own: true}, contactsAsk{want})
		return a.answer.Contacts, a.tenant, err
	})
}
