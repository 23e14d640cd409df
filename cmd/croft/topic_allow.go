// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"croft/lease"
)

func (a *app) topicAllow() *cobra.Command {
	var slivers, anybody bool
	var to []string
	c := &cobra.Command{
		Use: "allow SLICE/TOPIC", Short: "Say who may publish on a topic of your slice", Args: cobra.ExactArgs(1),
		Long: `Sign the slice's next record, which says who may publish on the topic beside you and
those to whom you granted it. Without a flag that is nobody.`,
		Example: "  croft topic allow web/status --slivers\n  croft topic allow web/wishes --anybody\n  croft topic allow web/news --to bob.pub",
		RunE: func(cmd *cobra.Command, args []string) error {
			label, name, err := ownTopic(args[0])
			if err != nil {
				return err
			}
			t := lease.Topic{Name: name}
			if slivers {
				t.Publishers |= lease.BySlivers
			}
			if anybody {
				t.Publishers |= lease.ByAnybody
			}
			for _, who := range to {
				list, err := a.people(cmd.Context(), "`croft key show` prints theirs", who)
				if err != nil {
					return err
				}
				t.Principals = append(t.Principals, list...)
			}
			t.Principals = union(t.Principals)
			key, err := a.mine()
			if err != nil {
				return err
			}
			p, err := a.publish(cmd.Context(), key, label, recordTerm, func(p *published, _ uint64) error { return p.allow(t) })
			if err != nil {
				return err
			}
			return a.printSpread(a.tell(cmd.Context(), key, p))
		},
	}
	c.Flags().BoolVar(&slivers, "slivers", false, "the slice's slivers may")
	c.Flags().BoolVar(&anybody, "anybody", false, "whoever signs may")
	c.Flags().StringArrayVar(&to, "to", nil, "this principal may; can be repeated")
	return c
}

// allow puts a topic into the next record, in the place of what was said of it. One
// on which nobody else may publish need not be there.
func (p *published) allow(t lease.Topic) error {
	p.topics = slices.DeleteFunc(slices.Clone(p.topics), func(old lease.Topic) bool { return old.Name == t.Name })
	if t.Publishers != 0 || len(t.Principals) > 0 {
		p.topics = append(p.topics, t)
	}
	slices.SortFunc(p.topics, func(a, b lease.Topic) int { return strings.Compare(a.Name, b.Name) })
	named := 0
	for _, t := range p.topics {
		named += len(t.Principals)
	}
	switch {
	case len(p.topics) > lease.MaxTopics:
		return usage("`croft topic allow` without a flag takes one out", "%d topics, limit %d", len(p.topics), lease.MaxTopics)
	case named > lease.MaxPublishers:
		return usage("grant it to the others: `croft slice grant`", "%d principals at all topics, limit %d", named, lease.MaxPublishers)
	}
	return nil
}

// publishers says in words who may publish.
func publishers(t lease.Topic) string {
	var who []string
	if t.Publishers&lease.ByAnybody != 0 {
		who = append(who, "anybody")
	}
	if t.Publishers&lease.BySlivers != 0 {
		who = append(who, "its slivers")
	}
	for _, p := range t.Principals {
		who = append(who, p.Short())
	}
	return fmt.Sprintf("%s may publish", strings.Join(append(who, "its owner"), ", "))
}
