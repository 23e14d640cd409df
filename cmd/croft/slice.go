// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"croft/lease"
)

func (a *app) sliceGroup() *cobra.Command {
	c := &cobra.Command{Use: "slice", Short: "Who may act on your slices, and what others let you do"}
	c.AddCommand(a.sliceList(), a.sliceShow(), a.slicePublish(), a.sliceGrant(), a.sliceRevoke(), a.sliceAccept())
	return c
}

// sliceRow is one slice that this person can act on.
type sliceRow struct {
	Slice   string          `json:"slice"` // as it is typed
	Owner   lease.Principal `json:"owner"`
	Slivers int             `json:"slivers"`        // known here
	Grants  int             `json:"grants"`         // that the owner has given
	Verbs   lease.Verbs     `json:"verbs,omitzero"` // granted to this person
	Until   int64           `json:"until"`          // of the leases, or of the grant
}

func (a *app) sliceList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "Your slices, and those that others let you act on", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			labels, held := a.sliceLabels(), a.held()
			key, err := a.known()
			if err != nil {
				return err
			}
			var rows []sliceRow
			for _, label := range labels {
				row := sliceRow{Slice: label, Owner: principalOf(key)}
				rec, err := a.slice(label)
				var f *failure
				if err != nil && !(errors.As(err, &f) && f.code == exitNothing) {
					return err
				}
				p, err := a.published(label)
				if err != nil {
					return err
				}
				_, ids := p.standing(time.Now().Unix())
				row.Slivers, row.Until, row.Grants = len(rec.Slivers), rec.Until(), len(ids)
				rows = append(rows, row)
			}
			for _, g := range held {
				if g.Holder == principalOf(key) {
					rows = append(rows, sliceRow{Slice: g.name(), Owner: g.Issuer, Verbs: g.Verbs, Until: g.Until})
				}
			}
			if len(rows) == 0 {
				a.say("no slices; `croft run` makes one")
			}
			return printEach(a, rows, "SLICE\tSLIVERS\tGRANTS\tYOU MAY\tLEFT", func(w io.Writer, r sliceRow) {
				may, over := r.Verbs.String(), "-"
				slivers, grants := strconv.Itoa(r.Slivers), strconv.Itoa(r.Grants)
				if may == "" {
					may = "all"
				} else { // another's: its nodes know
					slivers, grants = "-", "-"
				}
				if r.Until > 0 {
					over = left(r.Until - time.Now().Unix())
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", r.Slice, slivers, grants, may, over)
			})
		},
	}
}

// sliceLabels are the labels of the person's own slices: those that run and
// those of which something was said.
func (a *app) sliceLabels() []string {
	list := a.labels()
	files, err := filepath.Glob(filepath.Join(a.recordDir(), "*.json"))
	if err != nil {
		return list
	}
	for _, f := range files {
		if label := strings.TrimSuffix(filepath.Base(f), ".json"); label != allSlices {
			list = append(list, label)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}
