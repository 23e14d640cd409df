// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"croft/lease"
)

func (a *app) sliceRevoke() *cobra.Command {
	var all bool
	c := &cobra.Command{
		Use: "revoke SLICE [HOLDER|GRANT…]", Short: "Take grants back", Args: cobra.MinimumNArgs(1),
		Long: `Sign the slice's next record without these grants, and tell it to its nodes and the
DHT: what they allowed is refused from then on, and sessions end. Name a holder (all
his grants) or the beginning of a grant's id, or say --all. "@" is the record on which
your devices stand. Leases that were taken under a grant run on: ` + "`croft stop`" + ` ends them.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			label, err := ownLabel(args[0])
			if err != nil {
				return err
			}
			if len(args) == 1 && !all {
				return usage("name whom, or say --all", "revoke which grants of %s?", args[0])
			}
			return a.takeBack(cmd.Context(), label, args[1:], all)
		},
	}
	c.Flags().BoolVar(&all, "all", false, "every grant")
	return c
}

func (a *app) takeBack(ctx context.Context, label string, names []string, all bool) error {
	key, err := a.mine()
	if err != nil {
		return err
	}
	p, err := a.publish(ctx, key, label, recordTerm, func(p *published, _ uint64) error {
		for _, name := range names {
			before := len(p.grants)
			p.grants = slices.DeleteFunc(p.grants, func(o lease.Opened) bool { return isGrant(o, name) })
			if len(p.grants) == before { // somebody's name, then
				who, err := a.person(ctx, "", name)
				if errors.Is(err, errHearsay) {
					return err
				} else if err == nil {
					p.grants = slices.DeleteFunc(p.grants, func(o lease.Opened) bool { return isGrant(o, who.String()) })
				}
			}
			if len(p.grants) == before {
				return fail(exitNothing, "`croft slice show "+cmp.Or(label, allSlices)+"` lists them", "no grant to or named %q stands", name)
			}
		}
		if all {
			p.grants = nil
		}
		return nil
	})
	if err != nil {
		return err
	}
	return a.printSpread(a.tell(ctx, key, p))
}

// isGrant reports whether a name is a grant's id or holder, or the beginning of
// one as they are printed.
func isGrant(o lease.Opened, name string) bool {
	holder := o.Statement.(*lease.Grant).Holder
	if p, err := principal("", name); err == nil {
		return p == holder
	}
	return len(name) >= len(holder.Short()) && (strings.HasPrefix(o.ID.String(), name) || strings.HasPrefix(holder.String(), name))
}
