// SPDX-License-Identifier: Apache-2.0

package alive

import (
	"slices"
	"time"

	"croft/lease"
)

// blame is how often what one site said of a node was refuted soon after. It counts
// for the site, which can have any number of nodes; who is of none that is certified
// answers for himself.
type blame struct {
	who   lease.Principal
	times int
	last  time.Time
}

// quiet is for how long who was so often refuted has no say of that node.
func (b *blame) quiet() time.Duration { return Gap << min(b.times-1, maxStrikes) }

// accuser is who is to blame for a charge.
func (c *charge) accuser() lease.Principal {
	if c.site.IsZero() {
		return c.by
	}
	return c.site
}

// refuted blames those whose word a newer offer shows to be wrong. That of a node that
// comes back after minutes shows nothing: it may have been away. An offer shows that a
// node can send, not that it answers: where three sites have missed it of late they
// are as likely right, and are silent for less than Valid.
func (d *doubt) refuted(now time.Time, sequence uint64) {
	most := maxStrikes
	if d.agreed(now) {
		most = agreedStrikes
	}
	var blamed []lease.Principal // one a site, however many of its nodes spoke
	for i := range d.said {
		c := &d.said[i]
		if c.sequence >= sequence || c.settled {
			continue
		}
		c.settled = true
		if who := c.accuser(); now.Sub(c.got) <= Soon && !slices.Contains(blamed, who) {
			blamed = append(blamed, who)
			d.blame(now, who, most)
		}
	}
}

// agreed reports whether as many sites as it takes have missed the node of late, by
// whatever offer: who refutes the first of them at once has the others speak of the next.
func (d *doubt) agreed(now time.Time) bool {
	var sites []lease.Principal
	for _, c := range d.said {
		if now.Sub(c.got) <= Valid && !slices.Contains(sites, c.site) {
			sites = append(sites, c.site)
		}
	}
	return len(sites) >= Sites
}

// blame counts once more against a site, to so many strikes at most; those that it has
// already stay.
func (d *doubt) blame(now time.Time, who lease.Principal, most int) {
	at := slices.IndexFunc(d.blamed, func(b blame) bool { return b.who == who })
	if at < 0 {
		if len(d.blamed) == maxAccusers { // the oldest makes room
			d.blamed = slices.Delete(d.blamed, 0, 1)
		}
		d.blamed = append(d.blamed, blame{who, 1, now})
		return
	}
	b := d.blamed[at]
	b.times, b.last = max(b.times, min(b.times+1, 1+most)), now
	d.blamed = append(slices.Delete(d.blamed, at, at+1), b) // in the order of last
}

// silenced reports whether a site was refuted too often of late to have a say.
func (d *doubt) silenced(now time.Time, who lease.Principal) bool {
	return slices.ContainsFunc(d.blamed, func(b blame) bool { return b.who == who && now.Sub(b.last) < b.quiet() })
}

// forgive forgets who was not refuted for long.
func (d *doubt) forgive(now time.Time) {
	d.blamed = slices.DeleteFunc(d.blamed, func(b blame) bool { return now.Sub(b.last) > Forgiven })
}

// refuteAt is when this node may refute again. Each refutation soon after another
// makes it wait longer for the next, which then answers all that was said meanwhile;
// but who would be left out may as often as others hear it.
func (w *Watch) refuteAt() time.Time {
	gap := RefuteGap
	if w.standing(w.cfg.Self) != Absent {
		gap = min(gap<<max(w.streak-1, 0), MaxRefuteGap)
	}
	return w.refuted.Add(gap)
}

// refutes refutes what is said of this node, if it is time.
func (w *Watch) refutes(now time.Time) []Effect {
	if !w.refute || now.Before(w.refuteAt()) {
		return nil
	}
	if now.Sub(w.refuted) > Valid {
		w.streak = 0
	}
	w.streak = min(w.streak+1, maxStrikes)
	w.refute, w.refuted = false, now
	w.stats.Refutes++
	return []Effect{Refute{}}
}
