// SPDX-License-Identifier: Apache-2.0

package dht

import "time"

// Repeat says when an offer is registered again. The zero value is ready.
type Repeat struct {
	done  int
	broke bool // the registration before was broken off
}

// Newer notes that there is a newer offer. Once settled a refresh needs no early
// repeats.
func (r *Repeat) Newer() {
	if r.done >= len(again) {
		r.done = len(again) - 1
	}
}

// Breaks reports whether a newer offer breaks off the registration that is under way, so
// that its own begins at once: a look-up may take ten seconds. The one after that is seen
// through, however often there is news.
func (r *Repeat) Breaks() bool {
	if r.broke {
		return false
	}
	r.broke = true
	return true
}

// Soon reports whether a repeat of an offer comes so early that whoever held it holds
// it still: it is for those who have come closer since.
func (r Repeat) Soon() bool { return r.done < len(again) }

// After returns how long after a registration the next one is due. One that nobody
// answered begins anew; where holders answered that they have no room, that is no
// reason to hurry. The first repeat is for who knew too few peers.
func (r *Repeat) After(reg Registered) time.Duration {
	switch {
	case reg.Holders == 0:
		r.done = 0
	case r.done == 0 && !reg.Few:
		r.done = 1
	}
	r.broke = false
	wait := again[min(r.done, len(again)-1)]
	r.done++
	return wait
}
