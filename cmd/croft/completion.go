// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"croft/lease"
	"croft/lease/offer"
	"croft/sim/lab"
)

// completeLimit is how long a Tab may wait for the way in.
const completeLimit = time.Second

// names is what may stand at an argument, by the arguments before it.
type names func(cmd *cobra.Command, args []string) []string

// complete gives commands the live names that they take.
func (a *app) complete(root *cobra.Command) {
	first := func(list names) names { // of the first argument only
		return func(cmd *cobra.Command, args []string) []string {
			if len(args) > 0 {
				return nil
			}
			return list(cmd, args)
		}
	}
	for _, verb := range []string{"ps", "top", "logs", "exec", "renew", "audit flows", "audit messages", "audit export", "audit capture", "slice show"} {
		at(root, verb).ValidArgsFunction = completer(first(a.allLabels))
	}
	at(root, "stop").ValidArgsFunction = completer(a.allLabels)
	for _, verb := range []string{"slice publish", "slice grant"} {
		at(root, verb).ValidArgsFunction = completer(first(a.myLabels))
	}
	for _, verb := range []string{"ticket fetch", "net"} {
		at(root, verb).ValidArgsFunction = completer(first(a.allNodes))
	}
	at(root, "slice revoke").ValidArgsFunction = completer(a.grantNames)
	for _, verb := range []string{"slice grant", "key device add"} {
		must(at(root, verb).RegisterFlagCompletionFunc("verbs", completer(verbNames)))
	}
	for _, verb := range []string{"exec", "kill", "stop", "start", "socket"} {
		at(root, "lab "+verb).ValidArgsFunction = completer(first(labNodes))
	}
	for verb, list := range map[string]names{"logs": a.sliceNodes, "exec": a.sliceNodes, "audit capture": a.sliceNodes, "audit who": a.allNodes} {
		must(at(root, verb).RegisterFlagCompletionFunc("node", completer(list)))
	}
	for _, verb := range []string{"run", "find"} {
		must(at(root, verb).RegisterFlagCompletionFunc("view", completer(fixed("on", "off"))))
	}
	for _, verb := range []string{"ticket show", "ticket verify", "ticket split"} {
		at(root, verb).ValidArgsFunction = orFile(first(a.myTickets))
	}
	for _, verb := range []string{"show", "try", "promote", "demote", "drop"} {
		at(root, "role "+verb).ValidArgsFunction = completer(first(fixed("discovery")))
	}
	must(at(root, "net").RegisterFlagCompletionFunc("require", completer(fixed("direct"))))
	must(at(root, "run").RegisterFlagCompletionFunc("ticket", orFile(a.myTickets)))
	must(at(root, "ticket give").RegisterFlagCompletionFunc("from", orFile(a.myTickets)))
	must(at(root, "audit export").RegisterFlagCompletionFunc("format", completer(fixed("parquet", "ipfix", "csv", "jsonl"))))
	must(at(root, "up").RegisterFlagCompletionFunc("log", completer(fixed("debug", "info", "warn", "error"))))
}

func at(root *cobra.Command, path string) *cobra.Command {
	c, _, err := root.Find(strings.Fields(path))
	must(err)
	return c
}

func must(err error) {
	if err != nil {
		panic(err) // a command or flag of our own making
	}
}

func completer(list names) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
		var out []string
		for _, name := range list(cmd, args) {
			if strings.HasPrefix(name, word) {
				out = append(out, name)
			}
		}
		return out, cobra.ShellCompDirectiveNoFileComp
	}
}

// orFile also offers files.
func orFile(list names) cobra.CompletionFunc {
	complete := completer(list)
	return func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
		out, _ := complete(cmd, args, word)
		return out, cobra.ShellCompDirectiveDefault
	}
}

// myTickets are the names of the tickets in the purse, with what they are.
func (a *app) myTickets(cmd *cobra.Command, _ []string) []string {
	ctx, cancel := context.WithTimeout(cmd.Context(), completeLimit)
	defer cancel()
	held, _, err := a.lookIntoPurse(ctx)
	if err != nil {
		return nil // the command itself will say why
	}
	var out []string
	for _, h := range held {
		out = append(out, cobra.CompletionWithDesc(h.ID.Short(), h.RSet.String()+" until "+day(h.Until)))
	}
	return out
}

func fixed(words ...string) names {
	return func(*cobra.Command, []string) []string { return words }
}

// myLabels are the slices that are not named yet.
func (a *app) myLabels(_ *cobra.Command, args []string) []string {
	var out []string
	for _, label := range a.labels() {
		named := false
		for _, arg := range args {
			named = named || arg == label
		}
		if !named {
			out = append(out, label)
		}
	}
	return out
}

// allLabels are those, and the slices of others that a grant is kept for.
func (a *app) allLabels(cmd *cobra.Command, args []string) []string {
	out := a.myLabels(cmd, args)
	for _, g := range a.held() {
		if g.Slice != "" && !slices.Contains(args, g.name()) {
			out = append(out, g.name())
		}
	}
	return out
}

// grantNames are slices of which something was said, then whom they let.
func (a *app) grantNames(_ *cobra.Command, args []string) []string {
	if len(args) == 0 {
		return a.sliceLabels()
	}
	label, err := ownLabel(args[0])
	if err != nil {
		return nil
	}
	p, err := a.published(label)
	if err != nil {
		return nil // the command itself will say why
	}
	var out []string
	for _, o := range p.grants {
		out = append(out, o.Statement.(*lease.Grant).Holder.Short())
	}
	return out
}

func verbNames(*cobra.Command, []string) []string {
	return append(strings.Split(lease.AllVerbs.String(), ","), "all")
}

// sliceNodes are the nodes of the slice that the first argument names.
func (a *app) sliceNodes(_ *cobra.Command, args []string) []string {
	if len(args) == 0 {
		return nil
	}
	rec, err := a.slice(args[0])
	if err != nil {
		return nil // nothing to offer; the command itself will say why
	}
	var out []string
	for _, s := range rec.Slivers {
		out = append(out, s.Name)
	}
	return out
}

// allNodes asks the way in what it knows.
func (a *app) allNodes(cmd *cobra.Command, _ []string) []string {
	ctx, cancel := context.WithTimeout(cmd.Context(), completeLimit)
	defer cancel()
	res, err := a.way().Find(ctx, offer.FindRequest{View: true})
	if err != nil {
		return nil
	}
	var out []string
	for _, f := range res.Offers {
		out = append(out, f.Offer.Display())
	}
	return out
}

func labNodes(cmd *cobra.Command, _ []string) []string {
	l, err := lab.Open(cmd.Flag("dir").Value.String())
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completeLimit)
	defer cancel()
	s, err := l.Status(ctx)
	if err != nil {
		return nil
	}
	var out []string
	for _, n := range s.Nodes {
		out = append(out, n.Name)
	}
	return out
}

func (a *app) completion() *cobra.Command {
	return &cobra.Command{
		Use: "completion bash|zsh|fish", Short: "Print what makes your shell complete commands, slices and nodes",
		Long: `Print a script that teaches a shell to complete commands and flags, and the names of
your slices and of nodes as they are at that moment.`,
		Example: `  croft completion bash > /etc/bash_completion.d/croft
  croft completion zsh > "${fpath[1]}/_croft"
  croft completion fish > ~/.config/fish/completions/croft.fish`,
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{"bash", "zsh", "fish"},
		RunE: func(cmd *cobra.Command, args []string) error {
			switch args[0] {
			case "bash":
				return cmd.Root().GenBashCompletionV2(a.out, true)
			case "zsh":
				return cmd.Root().GenZshCompletion(a.out)
			}
			return cmd.Root().GenFishCompletion(a.out, true)
		},
	}
}
