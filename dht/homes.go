// SPDX-License-Identifier: Apache-2.0

package dht

// A look-up for homes finds those who are to hold something, for one who registers it:
// many at once, again and again, and nobody waits for them. So it is Calm. Those that it
// found the last time are named to it as Before: they are there unless they turn out not
// to be, and only the nearest few of all are asked whether anybody else has come near.
// Who has is asked too, before it counts. That costs as many requests as there are
// newcomers, and a few.

// HomeAsks is how many of those found before are asked who is nearest now: a liar among
// them can but have it stay so, until the others go.
const HomeAsks = 3

// homely sets what a look-up for homes has otherwise.
func (cfg *LookupConfig) homely() {
	if !cfg.Calm {
		return
	}
	if cfg.Parallel <= 0 {
		cfg.Parallel = 1
	}
	if cfg.Limit <= 0 {
		cfg.Limit = CalmLimit
	}
	if len(cfg.Before) > 0 { // disjoint paths found them; on each there would be a few to ask
		cfg.Paths, cfg.Parallel = 1, HomeAsks
	}
}

// home reports whether a peer that is so far down the list need not be asked.
func (l *Lookup) home(p *peer, place int) bool { return place >= HomeAsks && l.before[p.Key] }

// homes are those found before that were not asked, as far as a path still believes in
// them.
func (l *Lookup) homes() (list []*peer) {
	for k := range l.before {
		if p := l.peers[k]; p != nil && p.state == named {
			list = append(list, p)
		}
	}
	return list
}
