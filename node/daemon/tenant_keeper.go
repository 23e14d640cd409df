// SPDX-License-Identifier: Apache-2.0

//go:build !no_builtin_keeper

package daemon

import (
	"context"

	"croft/node/keep"
)

func init() {
	builtins["keeper"] = func(*Daemon) tenant { return replies{"keep": reply(keepAll)} }
}

// keepAll renews what is due, replaces what is lost, and adds what is missing, each on
// the best node that is left.
func keepAll(_ context.Context, q keep.Question) (d keep.Decision, err error) {
	free := q.Candidates[:min(len(q.Candidates), max(q.May, 0))]
	for _, s := range q.Slivers {
		switch {
		case s.Due:
			d.Renew = append(d.Renew, s.Sliver)
		case s.Lost && len(free) > 0:
			d.Replace = append(d.Replace, keep.Replacement{Sliver: s.Sliver, Node: free[0].Node})
			free = free[1:]
		}
	}
	for _, c := range free {
		d.Add = append(d.Add, c.Node)
	}
	return d, nil
}
