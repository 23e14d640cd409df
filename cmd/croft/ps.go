// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"croft/lease"
	"croft/node/api"
	"croft/sandbox"
)

// psRow is one sliver as ps shows it.
type psRow struct {
	Slice string      `json:"slice"`
	Node  string      `json:"node"`
	Error string      `json:"error,omitempty"`
	Until int64       `json:"until"`
	Live  *api.Sliver `json:"sliver,omitempty"`
	Moved api.Traffic `json:"traffic"`
}

func (a *app) ps() *cobra.Command {
	return &cobra.Command{
		Use: "ps [SLICE]", Short: "Your slices and their slivers, as their nodes see them", Args: cobra.MaximumNArgs(1),
		Long: `Ask the nodes for the slivers of a slice; without SLICE, of every slice of yours, and
of those of others on which you may act.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			targets, out, err := a.seen(cmd.Context(), args)
			if err != nil {
				return err
			}
			if len(targets)+len(out) == 0 {
				a.say("no slices; `croft run` makes one")
				return nil
			}
			var rows []psRow
			for _, t := range targets {
				mine := make([]psRow, len(t.Slivers))
				index := map[string]*psRow{}
				for i, s := range t.Slivers {
					mine[i] = psRow{Slice: t.name(), Node: s.Name, Until: s.Until}
					index[s.Node.String()+s.Sliver] = &mine[i]
				}
				got := a.group(cmd.Context(), t, func(ctx context.Context, n remote) error {
					return look(ctx, n, index[n.Sliver.Node.String()+n.Sliver.Sliver])
				})
				for i, o := range got {
					if o.err != nil {
						mine[i].Error = plain(o.err)
					}
				}
				rows, out = append(rows, mine...), append(out, got...)
			}
			word := map[string]int{} // slice → messages
			for _, row := range rows {
				if row.Live != nil {
					a.examineEnd(row.Live)
					word[row.Slice] = max(word[row.Slice], row.Live.Messages)
				}
			}
			if err := printEach(a, rows, "SLICE\tNODE\tSTATE\tLEFT\tPUBLIC\tSENT\tRECEIVED\tDROPPED", psLine); err != nil {
				return err
			}
			for _, row := range rows {
				if row.Live != nil && row.Live.Said != "" {
					a.say("%s on %s, who allots the pool says: %s", row.Slice, row.Node, printable(row.Live.Said))
				}
			}
			for _, name := range slices.Sorted(maps.Keys(word)) {
				if word[name] > 0 {
					a.say("somebody has left word about packets of %s: `croft audit messages %s`", name, name)
				}
			}
			return a.summary(out)
		},
	}
}

// seen finds the slices that ps is about: the one named, or all. Of the slices of
// others each is for itself: one that cannot be looked up hides no other.
func (a *app) seen(ctx context.Context, args []string) (targets []target, out []outcome, err error) {
	names := args
	if len(args) == 0 {
		names = a.labels()
	}
	for _, name := range names {
		t, err := a.target(ctx, name, lease.AllVerbs)
		if err != nil {
			return nil, nil, err
		}
		targets = append(targets, t)
	}
	if len(args) > 0 {
		return targets, nil, nil
	}
	others, err := a.others()
	if err != nil {
		return nil, nil, err
	}
	found, failed := make([]target, len(others)), make([]error, len(others))
	slots := make(chan struct{}, groupLimit)
	var wg sync.WaitGroup
	for i, name := range others {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			found[i], failed[i] = a.target(ctx, name, lease.AllVerbs)
		})
	}
	wg.Wait()
	for i, name := range others {
		switch err := failed[i]; {
		case err == nil:
			targets = append(targets, found[i])
		case classify(err).code == exitRefused: // a grant that was taken back: it is no slice to this person any more
			a.say("%s", plain(err))
		default:
			out = append(out, outcome{name, err})
		}
	}
	return targets, out, nil
}

// look asks a node for one sliver.
func look(ctx context.Context, n remote, row *psRow) error {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	list, err := n.Slivers(ctx)
	if err != nil {
		return err
	}
	for _, s := range list {
		if s.Sliver == n.Sliver.Sliver {
			row.Live, row.Until = &s, s.Until
			if s.Ends > 0 {
				row.Until = s.Ends
			}
			row.Moved, err = n.Traffic(ctx, s.Sliver)
			if err != nil && s.Run != string(sandbox.Running) {
				err = nil // there is no guard yet, or no more
			}
			return err
		}
	}
	return errEnded
}

func psLine(w io.Writer, r psRow) {
	if r.Live == nil {
		fmt.Fprintf(w, "%s\t%s\t-\t%s\t-\t-\t-\t%s\n", r.Slice, r.Node, left(r.Until-time.Now().Unix()), r.Error)
		return
	}
	s := r.Live
	state := s.Run
	if begins := s.Left - (s.Until - s.From); begins > 0 && s.Run == string(sandbox.Created) {
		state = "reserved, begins in " + left(begins)
	}
	if s.Ends != 0 {
		state += ", closing"
	}
	if s.Exit != nil {
		state += fmt.Sprintf(" (exit %d)", *s.Exit)
	}
	if s.Reason != "" && s.Exit == nil {
		state += ": " + s.Reason
	}
	public := "-"
	for i, p := range s.Ports {
		if i == 0 {
			public = s.Public + " "
		} else {
			public += ","
		}
		public += fmt.Sprintf("%d/%s", p.Number, p.Proto)
	}
	fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Slice, r.Node, state, left(s.Left), public,
		octets(r.Moved.Out.PassedBytes), octets(r.Moved.In.PassedBytes), drops(r.Moved))
}

// octets prints bytes as people read traffic: decimal, three digits.
func octets(n uint64) string {
	v, unit := float64(n), "B"
	for _, u := range []string{"kB", "MB", "GB", "TB"} {
		if v < 1000 {
			break
		}
		v, unit = v/1000, u
	}
	return fmt.Sprintf("%.3g %s", v, unit)
}

// drops lists the guard's reasons, both directions, and what a packet program refused.
func drops(t api.Traffic) string {
	text := ""
	for _, way := range []struct {
		name string
		api.Way
	}{{"out", t.Out}, {"in", t.In}} {
		for _, reason := range slices.Sorted(maps.Keys(way.Dropped)) {
			text += fmt.Sprintf("%s %s %d  ", way.name, reason, way.Dropped[reason])
		}
	}
	if t.Refused > 0 {
		text += fmt.Sprintf("refused %d  ", t.Refused)
	}
	if text == "" {
		return "0"
	}
	return text[:len(text)-2]
}
