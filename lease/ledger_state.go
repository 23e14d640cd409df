// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"fmt"
	"strings"
)

// State is where a granted wish is in its life.
type State uint8

// The states, from a wish to one of its ends. The numbers are not stored.
const (
	Wanted   State = iota // received, not yet judged
	Held                  // the node is bound for seconds
	Leased                // the node is bound for the term, nothing runs
	Active                // what is to run is known: the sliver runs from the term's beginning
	Closing               // an end has been announced for an instant to come
	Closed                // ended by its holder, or replaced by its renewal
	Rejected              // refused
	Expired               // its term or its fuse has run out
	Revoked               // ended by the node
	Failed                // not activated in time
)

var stateNames = [...]string{"wanted", "held", "leased", "active", "closing", "closed", "rejected", "expired", "revoked", "failed"}

func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return fmt.Sprintf("state(%d)", uint8(s))
}

func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

func (s *State) UnmarshalText(b []byte) error {
	for i, name := range stateNames {
		if name == string(b) {
			*s = State(i)
			return nil
		}
	}
	return fmt.Errorf("state %q: %w", b, ErrSyntax)
}

// Live reports whether the node is bound.
func (s State) Live() bool { return s >= Held && s <= Closing }

// event is what moves a booking on. The numbers are stored in facts.
type event uint8

const (
	onAdmit    event = 1
	onRefuse   event = 2
	onCommit   event = 3
	onContinue event = 4 // committed, and the sliver of another lease runs on under it
	onActivate event = 5
	onAnnounce event = 6 // a close or revoke was signed
	onClose    event = 7
	onRevoke   event = 8
	onReplace  event = 9
	onFuse     event = 10 // not committed in time
	onIdle     event = 11 // not activated in time
	onTermEnd  event = 12
)

var eventNames = [...]string{"", "admit", "refuse", "commit", "continue", "activate", "announce", "close",
	"revoke", "replace", "fuse", "idle", "term end"}

func (e event) String() string {
	if int(e) < len(eventNames) {
		return eventNames[e]
	}
	return fmt.Sprintf("event(%d)", uint8(e))
}

// transitions is the whole life of a lease. What is not in it cannot happen.
var transitions = []struct {
	from State
	on   event
	to   State
}{
	{Wanted, onAdmit, Held},
	{Wanted, onRefuse, Rejected},
	{Held, onCommit, Leased},
	{Held, onContinue, Active},
	{Held, onAnnounce, Closing},
	{Held, onClose, Closed},
	{Held, onRevoke, Revoked},
	{Held, onFuse, Expired},
	{Leased, onActivate, Active},
	{Leased, onAnnounce, Closing},
	{Leased, onIdle, Failed},
	{Leased, onTermEnd, Expired},
	{Active, onAnnounce, Closing},
	{Active, onClose, Closed},
	{Active, onRevoke, Revoked},
	{Active, onReplace, Closed},
	{Active, onTermEnd, Expired},
	{Closing, onAnnounce, Closing},
	{Closing, onClose, Closed},
	{Closing, onRevoke, Revoked},
	{Closing, onTermEnd, Expired},
}

func (s State) next(on event) (State, bool) {
	for _, t := range transitions {
		if t.from == s && t.on == on {
			return t.to, true
		}
	}
	return s, false
}

// Transitions prints the life of a lease, one "from event to" a line.
func Transitions() string {
	var b strings.Builder
	for _, t := range transitions {
		fmt.Fprintf(&b, "%-8s %-9s %s\n", t.from, t.on, t.to)
	}
	return b.String()
}
