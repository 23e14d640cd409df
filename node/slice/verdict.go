// SPDX-License-Identifier: Apache-2.0

package slice

import "fmt"

// cause is the verdict when nodes are the reason: what an owner said tells the
// user most, then what broke, then silence.
func (r *Run) cause() Outcome {
	for _, o := range []Outcome{RefusedByOwner, Broken, Unreachable, TimedOut} {
		if r.causes[o] > 0 {
			return o
		}
	}
	return Broken
}

// whys tells, in the order of the candidates, who fell out and why.
func (r *Run) whys() (lines []string) {
	if r.verdict == OK {
		return nil
	}
	if r.reason != "" {
		lines = append(lines, r.reason)
	}
	n := 0
	for _, m := range r.members {
		if m.why == "" {
			continue
		}
		if n++; n <= maxWhy {
			who := m.Name
			if m.withheld {
				who = OwnPurse
			}
			lines = append(lines, who+": "+m.why)
		}
	}
	if n > maxWhy {
		lines = append(lines, fmt.Sprintf("and %d more nodes", n-maxWhy))
	}
	return lines
}

// record lists the leases of members in the given states.
func (r *Run) record(states ...state) Record {
	rec := Record{Slice: r.plan.Label, Owner: r.key.Principal(), Slivers: []Sliver{}}
	if owner := named(r.plan.Owner, r.key.Principal()); !owner.IsZero() {
		rec.Owner, rec.Actor = owner, r.key.Principal()
	}
	for _, m := range r.members {
		for _, s := range states {
			if m.state == s && !m.sliver.Lease.IsZero() {
				rec.Slivers = append(rec.Slivers, m.sliver)
			}
		}
	}
	return rec
}

func (r *Run) keep(states ...state) {
	r.kept = true
	r.emit(Keep{Record: r.record(states...)})
}
