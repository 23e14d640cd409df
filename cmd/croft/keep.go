// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"croft/lease"
	"croft/lease/offer"
	"croft/node/api"
	keeping "croft/node/keep"
	"croft/node/role"
)

type keepFlags struct {
	runFlags
	at    string
	until time.Duration
}

func (a *app) keepGroup() *cobra.Command {
	var f keepFlags
	c := &cobra.Command{
		Use: "keep [flags] SLICE PROGRAM [-- COMMAND…]", Short: "Have a node keep a slice at strength while you are away",
		Long: `Hand a slice that runs over to a node, which renews its leases and runs new slivers in
the stead of lost ones, until --until is over: your machine may be off. The node acts
with its own key, by a grant of run, renew and stop that this signs; the new leases are
the node's, from the commons, and the slice stays yours. PROGRAM and its command are as
with croft run; the nodes pass it on to one another. New slivers are like those that
run, unless --rset, --cap or --port say otherwise.
--at names another node than the one behind the socket; it must let you ([keep] in its
configuration). Done again, it changes what is kept.`,
		Example: `  croft keep web -n 5 --where 'country!=DE' --until 168h ./web
  croft keep --at uni-a/n1 web -n 5 ./web
  croft keep show web
  croft keep stop web`,
		Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := dashAfter(cmd, 2); err != nil {
				return err
			}
			f.nodesSet = cmd.Flags().Changed("nodes")
			return a.handOver(cmd.Context(), f, args)
		},
	}
	c.Flags().IntVarP(&f.nodes, "nodes", "n", 1, "number of slivers (default: those that run)")
	c.Flags().StringVar(&f.where, "where", "", "which nodes: a query (croft help find)")
	c.Flags().StringVar(&f.limits, "cap", "", "rate and packets of new slivers: as with croft run")
	c.Flags().StringVar(&f.rset, "rset", "", "other amounts of new slivers: cpu=500,memory=256MiB")
	c.Flags().StringArrayVar(&f.ports, "port", nil, "public port of new slivers (may be repeated)")
	c.Flags().DurationVar(&f.term, "for", time.Hour, "how long each lease is (2m to 24h)")
	c.Flags().DurationVar(&f.until, "until", 7*24*time.Hour, "for how long it is kept, and granted to the node")
	c.Flags().StringVar(&f.at, "at", "", "the node that keeps it: its name or principal (default: the one behind the socket)")
	c.AddCommand(a.keepList(), a.keepShow(), a.keepStop())
	return c
}

// handOver has a node keep a slice.
func (a *app) handOver(ctx context.Context, f keepFlags, args []string) error {
	if err := checkQuery(f.where); err != nil {
		return err
	}
	t, err := a.ownTarget(ctx, args[0])
	if err != nil {
		return err
	}
	if len(t.Slivers) == 0 {
		return fail(exitNothing, "`croft run --name "+t.Slice+"` runs it first", "nothing of slice %s runs", t.Slice)
	}
	if !f.nodesSet {
		f.nodes = len(t.Slivers)
	}
	p, err := openProgram(args[1], args[2:])
	if err != nil {
		return err
	}
	p.close()
	charge, err := a.charge(f, t, p)
	if err != nil {
		return err
	}
	node, err := a.keeperNode(ctx, f.at)
	if err != nil {
		return err
	}
	if f.at == "" {
		if _, err := a.way().Admit(ctx, t.key.Principal()); err != nil {
			return err
		}
	}
	// It is noted before the node hears of it: what is not noted could not be stopped.
	list, err := a.keepersOf(t.Slice)
	if err == nil && !slices.Contains(list, node) {
		err = a.setKeepers(t.Slice, append(list, node))
	}
	if err != nil {
		return err
	}
	if charge.Authority, err = a.letKeep(ctx, t, node, f.until); err != nil {
		return err
	}
	n := a.node(t, node)
	defer n.Close()
	kept, err := n.Hand(ctx, charge)
	if errors.Is(err, api.ErrNotGranted) {
		if !slices.Contains(list, node) {
			err = errors.Join(err, a.setKeepers(t.Slice, list))
		}
		return fail(exitRefused, fmt.Sprintf("the grant stands until `croft slice revoke %s %s`", t.Slice, node.Short()), "handing slice %s over to %s: %w", t.Slice, node.Short(), err)
	}
	if err != nil {
		return fmt.Errorf("handing slice %s over to %s: %w", t.Slice, node.Short(), err)
	}
	if err := a.oneGrant(ctx, t, node, charge.Authority); err != nil {
		return fmt.Errorf("taking back what %s was granted before: %w", node.Short(), err)
	}
	return a.print(kept, func(w io.Writer) {
		fmt.Fprintf(w, "%s keeps %s at %d until %s\n", node.Short(), kept.Slice, kept.Want, day(kept.Until))
	})
}

// charge is what is to be kept: like what runs, unless something else is said.
func (a *app) charge(f keepFlags, t target, p *program) (keeping.Charge, error) {
	like := t.Slivers[0]
	set, err := like.RSet.With(f.rset)
	if err != nil {
		return keeping.Charge{}, badAmounts("rset", f.rset, err)
	}
	if err := parseCap(f.limits, &set); err != nil {
		return keeping.Charge{}, err
	}
	c := keeping.Charge{Slice: t.Slice, Owner: t.key.Principal(), Want: f.nodes, Term: int64(f.term / time.Second), Until: time.Now().Add(f.until).Unix(),
		Pool: lease.PoolCommons, RSet: set, Ports: like.Ports, Program: p.Program, Nodes: union(nodesOf(t.Record))}
	if len(f.ports) > 0 {
		c.Ports = nil
		for _, s := range f.ports {
			port, err := parsePort(s)
			if err != nil {
				return c, err
			}
			c.Ports = append(c.Ports, port)
		}
	}
	c.RSet[lease.PortsIn] = uint64(len(c.Ports))
	c.Where = atLeast(f.where, c.RSet)
	if f.nodes < 1 || f.nodes > keeping.MaxWant {
		return c, usage(fmt.Sprintf("1 to %d", keeping.MaxWant), "-n %d slivers cannot be kept", f.nodes)
	}
	if f.term < keeping.MinTerm || f.term > keeping.MaxTerm {
		return c, usage("such as --for 1h", "leases of %s: want %s to %s", f.term, keeping.MinTerm, keeping.MaxTerm)
	}
	if f.until < time.Second || int64(f.until.Seconds()) >= lease.MaxTerm {
		return c, usage("such as --until 168h", "%s is no time to keep a slice, at most %d days", f.until, lease.MaxTerm/86400)
	}
	return c, nil
}

// keeperNode finds the node that is to keep a slice.
func (a *app) keeperNode(ctx context.Context, at string) (lease.Principal, error) {
	if at == "" {
		s, err := a.way().Status(ctx)
		return s.Node, err
	}
	if p, err := lease.ParsePrincipal(at); err == nil {
		return p, nil
	}
	if err := checkQuery("name=" + at); err != nil {
		return lease.Principal{}, err
	}
	res, err := a.way().Find(ctx, offer.FindRequest{Query: "name=" + at, View: true})
	if err != nil {
		return lease.Principal{}, err
	}
	if len(res.Offers) != 1 {
		return lease.Principal{}, fail(exitNothing, "`croft find` lists nodes; a principal names any", "%d nodes are called %s", len(res.Offers), at)
	}
	return res.Offers[0].Offer.Node, nil
}

// letKeep signs the grant by which a node keeps a slice, and has it known.
func (a *app) letKeep(ctx context.Context, t target, node lease.Principal, term time.Duration) ([]byte, error) {
	var signed lease.Signed
	p, err := a.publish(ctx, t.key, t.Slice, recordTerm, func(p *published, sequence uint64) error {
		now := time.Now().Unix()
		// The one before stands until the node has this one: by it the slice is kept.
		var err error
		signed, err = lease.Seal(&lease.Grant{K: lease.KindGrant, Issuer: t.key.Principal(), Holder: node, Slice: t.Slice, Verbs: keepVerbs,
			From: now - lease.ClockSkew, Until: now + int64(term.Seconds()), Sequence: sequence}, t.key)
		if err != nil {
			return usage("", "%w", err)
		}
		o, err := signed.Open()
		p.grants = append(p.grants, o)
		return err
	})
	if err != nil {
		return nil, err
	}
	a.tell(ctx, t.key, p)
	return lease.SealAuthority(signed.Bytes(), p.Record), nil
}

// oneGrant takes back what a keeper was granted before what it goes by now.
func (a *app) oneGrant(ctx context.Context, t target, node lease.Principal, authority []byte) error {
	now, err := lease.OpenAuthority(authority)
	if err != nil {
		return err
	}
	before := func(o lease.Opened) bool {
		g := o.Statement.(*lease.Grant)
		return g.Holder == node && g.Verbs == keepVerbs && o.ID != now.ID
	}
	had, err := a.published(t.Slice)
	if err != nil || !slices.ContainsFunc(had.grants, before) {
		return err
	}
	p, err := a.publish(ctx, t.key, t.Slice, recordTerm, func(p *published, _ uint64) error {
		p.grants = slices.DeleteFunc(p.grants, before)
		return nil
	})
	if err == nil {
		a.tell(ctx, t.key, p)
	}
	return err
}

const keepVerbs = lease.VerbRun | lease.VerbRenew | lease.VerbStop

func (a *app) keepList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "The slices that the node behind the socket keeps, of anybody's", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := a.way().AllKept(cmd.Context())
			if err != nil {
				return err
			}
			return printEach(a, list, "SLICE\tKEPT AT\tLIVE\tUNTIL\tSTATE", func(w io.Writer, k api.Kept) {
				fmt.Fprintf(w, "%s\t%d\t%d\t%s\t%s\n", sliceAt(k.Slice, k.Owner), k.Want, k.Lives, soon(k.Until), cmp.Or(k.Over, k.Doubt, "kept"))
			})
		},
	}
}

func (a *app) keepShow() *cobra.Command {
	return &cobra.Command{
		Use: "show SLICE", Short: "How a slice of yours is kept, and what its keepers did", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			t, nodes, err := a.keptTarget(args[0])
			if err != nil {
				return err
			}
			var all []outcome
			for _, node := range nodes {
				list, err := a.keptBy(cmd.Context(), t, node, t.Slice)
				if all = append(all, outcome{node.Short(), err}); err != nil {
					continue
				}
				for _, k := range list {
					if err := a.print(k, func(w io.Writer) { tellKept(w, node, k) }); err != nil {
						return err
					}
				}
			}
			return a.summary(all)
		},
	}
}

// keptTarget is a slice of the person's own, and who keeps it.
func (a *app) keptTarget(name string) (target, []lease.Principal, error) {
	label, err := ownLabel(name)
	if err != nil {
		return target{}, nil, err
	}
	key, err := a.known()
	if err != nil {
		return target{}, nil, err
	}
	nodes, err := a.keepersOf(label)
	if err == nil && (len(nodes) == 0 || key == nil) {
		err = fail(exitNothing, "`croft keep` hands one over", "no node keeps a slice %q of yours", label)
	}
	t := target{key: key}
	t.Slice = label
	if key != nil {
		t.Owner = key.Principal()
	}
	return t, nodes, err
}

func tellKept(w io.Writer, node lease.Principal, k api.Kept) {
	state := cmp.Or(k.Over, k.Doubt, "kept")
	fmt.Fprintf(w, "keeper %s\tstrength %d/%d\tuntil %s\t%s\n", node.Short(), k.Lives, k.Want, day(k.Until), state)
	for _, s := range k.Slivers {
		fmt.Fprintf(w, "sliver %s\t%s\t%s\t%s\n", s.Sliver, s.Node.Short(), s.State, left(s.Left))
	}
	for _, act := range k.Acts {
		who := ""
		if !act.Node.IsZero() {
			who = act.Node.Short()
		}
		fmt.Fprintf(w, "%s\t%s\t%s %s\t%s %s\n", clockTime(act.At), act.What, act.Sliver, who, role.Tenant(act.By).Short(), act.Why)
	}
}

func (a *app) keepStop() *cobra.Command {
	return &cobra.Command{
		Use: "stop SLICE", Short: "Have a slice of yours kept no more", Args: cobra.ExactArgs(1),
		Long: "Tell every keeper of a slice of yours to keep it no more. Its slivers run on to the ends of their leases; `croft stop` ends them too.",
		RunE: func(cmd *cobra.Command, args []string) error {
			t, _, err := a.keptTarget(args[0])
			if err != nil {
				return err
			}
			return a.unkeep(cmd.Context(), t)
		},
	}
}
