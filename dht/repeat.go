// SPDX-License-Identifier: Apache-2.0

package dht

import "time"

// Repeat says when an offer is registered again. The zero value is ready.
type Repeat struct{ done int }

// Newer notes that there is a newer offer. Once settled a refresh needs no early
// repeats.
func (r *Repeat) Newer() {
	if r.done >= len(again) {
		r.done = len(again) - 1
	}
}

// Soon reports whether a repeat of an offer comes so early that whoever held it holds
// it still: it is for those who have come closer since.
func (r Repeat) Soon() bool { return r.done < len(again) }

// After returns how long after a registration the next one is due. One that nobody
// answered begins anew; where holders answered that they have no room, that is no
// reason to hurry.
func (r *Repeat) After(reg Registered) time.Duration {
	if reg.Holders == 0 {
		r.done = 0
	}
	wait := again[min(r.done, len(again)-1)]
	r.done++
	return wait
}
