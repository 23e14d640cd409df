// SPDX-License-Identifier: Apache-2.0

// Package keep decides how a node keeps a slice at strength for its owner, without
// doing any of it: the owner's machine may be off.
//
// The owner hands over a [Charge]: which slice, how many slivers, of what size, of
// which program, where and how long, with a grant to the node. A [Watch] is the
// machine of one charge:
//
//	      every LookEvery
//	idle ───────────────▶ looking ──enough, nothing due──▶ idle
//	  ▲                      │ too few       │ something due
//	  │                      ▼               ▼
//	  │                   seeking ───────▶ asking (the role keeper)
//	  │ all done                             │ a decision that Verify took
//	  └───────────────────────────────────  acting: renew, run
//
// A [Question] says of each sliver what may be done about it, and how many may be new;
// a [Decision] chooses among that and nothing else, so that whoever decides can do no
// harm that the node would not do itself.
//
// Two nodes that keep one slice ask no leave of one another. Before anything new is
// run, the nodes on which it would run are asked what they have of the slice, and both
// keepers think of the same nodes first ([Order]). Where both run one all the same,
// both renew the same slivers, the first by name, and what is too many ends with its
// lease.
//
//	w := keep.New(now, standing, grantEnds)
//	for _, e := range w.Step(now, keep.Tick{}) { … }
//
// What a Watch must not forget comes as a [Store] before all other effects of a step.
// A Watch is for one goroutine; everything else is a pure function.
package keep
