// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"croft/lease"
	"croft/node/api"
)

// shownSlice is a slice's record, with the grants as far as they are known here.
type shownSlice struct {
	ID lease.ID `json:"id"`
	lease.SliceRecord
	Source string       `json:"source"` // file, dht or grant
	Known  []shownGrant `json:"known,omitempty"`
}

type shownGrant struct {
	ID     lease.ID        `json:"id"`
	Holder lease.Principal `json:"holder"`
	Verbs  lease.Verbs     `json:"verbs"`
	Until  int64           `json:"until"`
}

func (a *app) sliceShow() *cobra.Command {
	return &cobra.Command{
		Use: "show SLICE", Short: "A slice's record: which grants stand, where its slivers are, its topics", Args: cobra.ExactArgs(1),
		Long: `Print the record of one of your slices as you last signed it, or of another's
(LABEL@OWNER) as the DHT has it. "@" is the record on which your devices stand.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			label, owner, foreign := strings.Cut(args[0], "@")
			if args[0] == allSlices {
				foreign = false
			} else if err := lease.CheckLabel(label); err != nil {
				return usage("", "slice: %w", err)
			}
			if !foreign && label != "" && !slices.Contains(a.sliceLabels(), label) {
				return fail(exitNothing, "`croft slice list` lists your slices", "you have no slice %q", label)
			}
			key, err := a.known()
			if err != nil {
				return err
			}
			if foreign && owner != "you" && (key == nil || !strings.HasPrefix(key.Principal().String(), owner)) {
				grants, err := a.choose(label, owner, principalOf(key), lease.AllVerbs)
				if err != nil {
					return err
				}
				shown := shownSlice{Source: "dht"}
				for _, g := range grants {
					shown.Known = append(shown.Known, shownGrant{g.ID, g.Holder, g.Verbs, g.Until})
				}
				r, err := a.lookUp(cmd.Context(), grants[0].Issuer, label)
				if errors.Is(err, api.ErrNoRecord) && grants[0].Slice == label {
					r, err, shown.Source = grants[0].Record, nil, "grant"
				}
				if err != nil {
					return err
				}
				shown.ID, shown.SliceRecord = r.ID, r.SliceRecord
				return a.printSlice(shown)
			}
			p, err := a.published(label)
			if err != nil {
				return err
			}
			if p.last.Sequence == 0 {
				return fail(exitNothing, "`croft slice publish "+args[0]+"` says something", "nothing was said of slice %q yet", args[0])
			}
			shown := shownSlice{ID: p.last.ID, SliceRecord: p.last.SliceRecord, Source: "file"}
			list, ids := p.standing(time.Now().Unix())
			for i, g := range list {
				shown.Known = append(shown.Known, shownGrant{ids[i], g.Holder, g.Verbs, g.Until})
			}
			return a.printSlice(shown)
		},
	}
}

func (a *app) printSlice(s shownSlice) error {
	return a.print(s, func(w io.Writer) {
		now := time.Now().Unix()
		fmt.Fprintf(w, "slice\t%s, from the %s\n", sliceAt(s.Slice, s.Owner), s.Source)
		fmt.Fprintf(w, "sequence\t%d\n", s.Sequence)
		fmt.Fprintf(w, "says so\tfor %s more\n", left(s.Until-now))
		fmt.Fprintf(w, "nodes\t%d\n", len(s.Nodes))
		for _, id := range s.Grants {
			text := "to somebody"
			for _, g := range s.Known {
				if g.ID == id {
					text = fmt.Sprintf("to %s: %s, for %s more", g.Holder.Short(), g.Verbs, left(g.Until-now))
				}
			}
			fmt.Fprintf(w, "grant %s\t%s\n", id.Short(), text)
		}
		for _, t := range s.Topics {
			fmt.Fprintf(w, "topic %s\t%s\n", t.Name, publishers(t))
		}
	})
}
