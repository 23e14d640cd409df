// SPDX-License-Identifier: Apache-2.0

package alive

import (
	"slices"
	"time"

	"croft/lease"
)

// doubt is who has said of one node that it does not answer: the newest word of
// each, for as long as it is valid.
type doubt struct {
	said    []charge
	blamed  []blame  // the oldest first
	certain uint64   // the sequence at which this node itself is sure; 0: it is not
	counted Standing // as was told last
}

type charge struct {
	by       lease.Principal
	site     lease.Principal // zero: of none that is certified
	sequence uint64
	made     int64
	got      time.Time
	settled  bool // a newer offer came, or nobody was told
}

func (d *doubt) of(by lease.Principal) *charge {
	for i := range d.said {
		if d.said[i].by == by {
			return &d.said[i]
		}
	}
	return nil
}

// put replaces what one said before; false: there is no room.
func (d *doubt) put(c charge) bool {
	if old := d.of(c.by); old != nil {
		*old = c
		return true
	}
	if len(d.said) >= maxAccusers {
		return false
	}
	d.said = append(d.said, c)
	return true
}

func (d *doubt) drop(by lease.Principal) {
	d.said = slices.DeleteFunc(d.said, func(c charge) bool { return c.by == by })
}

// lapse forgets what is no longer valid.
func (d *doubt) lapse(now time.Time) {
	d.forgive(now)
	d.said = slices.DeleteFunc(d.said, func(c charge) bool { return now.Sub(c.got) > Valid })
}

// standing is that of the node by its offer of a sequence.
func (d *doubt) standing(sequence uint64) Standing {
	switch sites := d.sites(sequence, func(charge) bool { return true }); {
	case sites >= Sites || d.certain == sequence && sequence != 0:
		return Absent
	case sites > 0:
		return Doubted
	}
	return Present
}

// sites counts those from which the offer of that very sequence is suspected.
func (d *doubt) sites(sequence uint64, counts func(charge) bool) int {
	var seen [Sites]lease.Principal
	n := 0
	for _, c := range d.said {
		if c.sequence == sequence && counts(c) && n < Sites && !slices.Contains(seen[:n], c.site) {
			seen[n] = c.site
			n++
		}
	}
	return n
}
