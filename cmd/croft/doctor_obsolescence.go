// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"croft/node/api"
	"croft/node/role"
)

// dependence is what a finding of the obsolescence meter has besides.
type dependence struct {
	Founders api.Share `json:"founders"` // how much of it is theirs
	Took     float64   `json:"took_ms,omitempty"`
	Without  string    `json:"without"`
	Lost     bool      `json:"lost"` // nobody takes its place
}

// obsolescence asks the node on what and whom it depends.
func (a *app) obsolescence(ctx context.Context) (all []finding) {
	list, err := a.way().Obsolescence(ctx)
	if err != nil {
		a.say("the obsolescence meter is of a node that runs: %s", plain(err))
		return nil
	}
	for _, d := range list {
		name := d.Name
		if d.Kind == "role" {
			name = "role " + name
		}
		all = append(all, finding{Kind: "dependence", Name: name, OK: d.Founders == api.ShareNone, Found: d.Holder,
			dependence: &dependence{d.Founders, d.Took, d.Without, d.Lost}})
	}
	return all
}

func (d *dependence) line(w io.Writer, f finding) {
	mark := map[api.Share]string{api.ShareAll: "theirs", api.ShareSome: "shared", api.ShareNone: "free"}[d.Founders]
	found := printable(f.Found)
	if who, why, ok := strings.Cut(found, " "); strings.HasPrefix(f.Name, "role ") && d.Took > 0 {
		found = role.Tenant(who).Short() + fmt.Sprintf(", in %.2f ms", d.Took)
		if ok {
			found += " " + why
		}
	}
	fmt.Fprintf(w, "%s\t%s\t%s\n\t\tif that vanishes: %s\n", mark, f.Name, found, printable(d.Without))
}
