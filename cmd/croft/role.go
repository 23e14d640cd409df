// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"croft/node/api"
	"croft/node/role"
)

func (a *app) role() *cobra.Command {
	c := &cobra.Command{Use: "role", Short: "Who fills the management jobs of a node: try others, promote, demote",
		Long: `A role is a management job of a node that others than the built-in tenant may fill: a
slice, whose sliver on this node serves it by its socket. A challenger is asked as
well, and its answers are compared and thrown away; who is promoted is asked first, and
the one before it when it fails, within the same request. SLICE is LABEL of your own,
LABEL@OWNER, or builtin.`,
		Example: `  croft role try discovery finder
  croft role show discovery
  croft role promote discovery finder`}
	do := func(verb, short string) *cobra.Command {
		use, args := verb+" ROLE SLICE", 2
		if verb == "demote" {
			use, args = verb+" ROLE", 1
		}
		return &cobra.Command{Use: use, Short: short, Args: cobra.ExactArgs(args), RunE: func(cmd *cobra.Command, args []string) error {
			job, err := handedOver(args[0])
			if err != nil {
				return err
			}
			wish := api.RoleWish{Do: verb}
			if verb != "demote" {
				tenant, err := a.tenant(cmd, job, args[1])
				if err != nil {
					return err
				}
				wish.Tenant = string(tenant)
			}
			r, err := a.way().Decide(cmd.Context(), job.Name, wish)
			if err != nil {
				return err
			}
			return a.showRole(r)
		}}
	}
	c.AddCommand(a.roleAsk(), a.roleSign(), &cobra.Command{Use: "list", Short: "List the roles and who fills them", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		list, err := a.way().Roles(cmd.Context())
		if err != nil {
			return err
		}
		return printEach(a, list, "ROLE\tTENANT\tTRIED\tQUESTION", func(w io.Writer, r api.Role) {
			holds, tried := "not to be handed over yet", []string{}
			for _, t := range r.Tenants {
				switch role.Place(t.Place) {
				case role.Incumbent:
					if holds = role.Tenant(t.Tenant).Short(); !t.Here {
						holds += " (absent)"
					}
				case role.Challenger:
					tried = append(tried, role.Tenant(t.Tenant).Short())
				}
			}
			if r.Version > 0 && len(r.Tenants) == 0 {
				holds = "nobody"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", r.Role, holds, cmp.Or(strings.Join(tried, " "), "-"), r.Question)
		})
	}}, &cobra.Command{Use: "show ROLE", Short: "Show a role's tenants, how they do, and who held it when", Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		job, err := handedOver(args[0])
		if err != nil {
			return err
		}
		list, err := a.way().Roles(cmd.Context())
		if err != nil {
			return err
		}
		for _, r := range list {
			if r.Role == job.Name {
				return a.showRole(r)
			}
		}
		return fail(exitNothing, "", "this node knows no role %s", job.Name)
	}}, do("try", "Have a slice asked as a challenger, its answers compared and thrown away"),
		do("promote", "Give a role to a challenger, an earlier holder or builtin"),
		do("demote", "Take a role from who holds it, for the next in line"),
		do("drop", "End a trial, or have an earlier holder asked no more"))
	return c
}

// handedOver reads the name of a role that can be handed over.
func handedOver(name string) (role.Role, error) {
	job, err := role.Lookup(name)
	switch {
	case err != nil:
		return job, usage("`croft role list` lists them", "%w", err)
	case job.Version == 0:
		return job, usage("`croft role list` says which can", "role %s cannot be handed over yet", name)
	}
	return job, nil
}

// tenant finds who is meant: a slice of the person's own, or of an owner of whom the
// node knows, by the beginning of his principal.
func (a *app) tenant(cmd *cobra.Command, job role.Role, name string) (role.Tenant, error) {
	if t, err := role.ParseTenant(name); err == nil {
		return t, nil
	}
	label, owner, foreign := strings.Cut(name, "@")
	key, err := a.known()
	if err != nil {
		return "", err
	}
	if key != nil && (!foreign || owner == "you" || owner != "" && strings.HasPrefix(key.Principal().String(), owner)) {
		t, err := role.ParseTenant(string(role.SliceTenant(label, key.Principal())))
		if err != nil {
			return "", usage("such as finder, or finder@OWNER", "%w", err)
		}
		return t, nil
	}
	list, err := a.way().Roles(cmd.Context())
	if err != nil {
		return "", err
	}
	var found []role.Tenant
	for _, r := range list {
		for _, t := range r.Tenants {
			if r.Role == job.Name && foreign && owner != "" && strings.HasPrefix(t.Tenant, name) {
				found = append(found, role.Tenant(t.Tenant))
			}
		}
	}
	if len(found) != 1 {
		return "", usage("`croft role show "+job.Name+"` lists who offers itself", "tenant %q: want one slice, as LABEL of your own or LABEL@OWNER", name)
	}
	return found[0], nil
}

func (a *app) showRole(r api.Role) error {
	if a.json {
		return a.print(r, nil)
	}
	fmt.Fprintf(a.out, "%s/%d: %s\n", r.Role, r.Version, r.Question)
	fmt.Fprintf(a.out, "told to a tenant: %s; agreement: %s\n", r.Leaves, r.Compared)
	fmt.Fprintf(a.out, "challengers are asked what %s; promoted: %s\n", map[string]string{"own": "your people ask", "all": "people and slivers ask"}[r.Share], cmp.Or(r.Rule, "by you alone"))
	if err := a.print(r, func(w io.Writer) {
		fmt.Fprintln(w, "TENANT\tPLACE\tSTATE\tASKED\tFAILED\tCOMPARED\tAGREEMENT\tP50\tP95")
		for _, t := range r.Tenants {
			state := "here"
			switch {
			case !t.Here:
				state = "absent"
			case t.Resting > 0:
				state = "passed over for " + (time.Duration(t.Resting) * time.Millisecond).Round(100*time.Millisecond).String()
			}
			agrees, p50, p95 := "-", "-", "-"
			if t.Trials > 0 {
				agrees = fmt.Sprintf("%.3f", t.Agreement)
			}
			if t.P95 > 0 {
				p50, p95 = fmt.Sprintf("%.1f ms", t.P50), fmt.Sprintf("%.1f ms", t.P95)
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%d\t%s\t%s\t%s\n", role.Tenant(t.Tenant).Short(), t.Place, state, t.Asked, t.Failed, t.Trials, agrees, p50, p95)
		}
	}); err != nil {
		return err
	}
	for _, t := range r.Tenants {
		if t.Last != "" {
			fmt.Fprintf(a.out, "%s failed the last time: %s\n", role.Tenant(t.Tenant).Short(), printable(t.Last))
		}
	}
	for _, f := range r.Past {
		why := ""
		if f.Why != "" {
			why = " (" + f.Why + ")"
		}
		fmt.Fprintf(a.out, "%s  %s %s%s\n", f.At.Local().Format("2006-01-02 15:04:05"), role.Tenant(f.Tenant).Short(), f.What, why)
	}
	return nil
}
