// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"croft/lease"
	"croft/node/api"
	"croft/node/role"
)

// shownName is what the node's names say of one name or principal.
type shownName struct {
	Name       string            `json:"name"`
	Principals []lease.Principal `json:"principals"`
	Group      bool              `json:"group,omitempty"`
	Tenant     string            `json:"tenant"`
}

func (a *app) name() *cobra.Command {
	return &cobra.Command{
		Use: "name NAME|PRINCIPAL", Short: "Print whose a name is, or what a principal is called", Args: cobra.ExactArgs(1),
		Long: `Ask the node behind the socket whose a name is, or what a principal is called: a line of
OpenSSH and a .pub file are taken as well. The answer is that of whoever fills the
role names there: ` + "`croft role show names`" + `. Commands that take a person take a name too,
if it is in the book of the node's owner.`,
		Example: "  croft name alice\n  croft name \"$(croft key show)\"",
		RunE: func(cmd *cobra.Command, args []string) error {
			shown, from, err := a.named(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			a.instead(from)
			return a.print(shown, func(w io.Writer) {
				for _, p := range shown.Principals {
					fmt.Fprintf(w, "%s\t%s\n", shown.Name, p)
				}
			})
		},
	}
}

// named asks for a name or for a principal's.
func (a *app) named(ctx context.Context, arg string) (shown shownName, from api.RoleAnswer, err error) {
	if p, err := principal("", arg); err == nil {
		var done struct {
			Names []struct{ Name string }
		}
		from, err := a.way().AskRole(ctx, "names", "reverse", map[string]any{"principals": []lease.Principal{p}}, &done)
		if err == nil && len(done.Names) == 0 {
			err = fail(exitNothing, "", "%s has no name here", p)
		}
		if err != nil {
			return shown, from, err
		}
		return shownName{Name: done.Names[0].Name, Principals: []lease.Principal{p}, Tenant: from.Tenant}, from, nil
	}
	name := strings.ToLower(arg)
	var done struct {
		Group      bool
		Principals []lease.Principal
	}
	from, err = a.way().AskRole(ctx, "names", "lookup", map[string]string{"name": name}, &done)
	if err == nil && len(done.Principals) == 0 {
		err = fail(exitNothing, "names/book.toml in the node's state directory is its owner's book", "nobody is called %s here", name)
	}
	return shownName{Name: name, Principals: done.Principals, Group: done.Group, Tenant: from.Tenant}, from, err
}

// instead says that somebody else answered than who was asked first.
func (a *app) instead(from api.RoleAnswer) {
	if from.Instead != "" {
		a.say("%s: %s answered instead", from.Instead, role.Tenant(from.Tenant).Short())
	}
}

// people are the principals whom an argument means: one as people write it, or whom the
// book of the node's owner names so. What is signed by it is out of hand, so nobody else's
// word counts: a sliver's would have it signed to whom it likes.
func (a *app) people(ctx context.Context, hint, arg string) ([]lease.Principal, error) {
	p, err := principal(hint, arg)
	if err == nil {
		return []lease.Principal{p}, nil
	}
	if strings.HasSuffix(strings.ToLower(arg), ".pub") || strings.ContainsAny(arg, `/\`) {
		return nil, err // a file that is not there is nobody's name
	}
	shown, from, err2 := a.named(ctx, arg)
	if err2 != nil {
		return nil, err // of what was typed: that there may be names is no mistake of his
	}
	if !from.Own {
		return nil, usage("type the principal, or write it into names/book.toml in the node's state directory",
			"%s is %s, says %s: %w", shown.Name, listed(shown.Principals), cmp.Or(role.Tenant(from.Tenant).Short(), "the node"), errHearsay)
	}
	for _, p := range shown.Principals {
		a.say("%s is %s", shown.Name, p)
	}
	return shown.Principals, nil
}

// errHearsay: a name is not in the owner's book, and somebody else knows whose it is.
var errHearsay = errors.New("not in the book of the node's owner")

func listed(list []lease.Principal) string {
	text := make([]string, len(list))
	for i, p := range list {
		text[i] = p.String()
	}
	return strings.Join(text, ", ")
}

// person is people where one is wanted.
func (a *app) person(ctx context.Context, hint, arg string) (lease.Principal, error) {
	list, err := a.people(ctx, hint, arg)
	if err != nil {
		return lease.Principal{}, err
	}
	if len(list) != 1 {
		return lease.Principal{}, usage("name one of them", "%s is a group of %d", arg, len(list))
	}
	return list[0], nil
}
