// SPDX-License-Identifier: Apache-2.0

package contact

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"time"
)

// Input is what a Joining takes: Heard, Tried, Peers or Tick.
type Input interface {
	fmt.Stringer
	input()
}

// Heard adds contacts, the newest word on a node replacing an older one.
type Heard struct {
	Source   Source
	Contacts []Contact
}

// Tried says what came of a Try: Joined is whether somebody was reached who leads
// on to others.
type Tried struct {
	Source Source
	Joined bool
}

// Peers is how many neighbours there are now.
type Peers struct{ N int }

// Tick lets time pass.
type Tick struct{}

func (Heard) input() {}
func (Tried) input() {}
func (Peers) input() {}
func (Tick) input()  {}

func (i Heard) String() string { return fmt.Sprintf("heard %s %d", i.Source, len(i.Contacts)) }
func (i Tried) String() string { return fmt.Sprintf("tried %s %t", i.Source, i.Joined) }
func (i Peers) String() string { return fmt.Sprintf("peers %d", i.N) }
func (Tick) String() string    { return "tick" }

// Try is the one effect: dial these, and report by Tried. One of a source is under
// way at most.
type Try struct {
	Source   Source
	Contacts []Contact
}

func (e Try) String() string { return fmt.Sprintf("try %s %d", e.Source, len(e.Contacts)) }

// Joining decides whom to try when.
type Joining struct {
	seed   uint64
	lists  [sources][]Contact
	flying [sources]bool
	late   []Contact // local, heard while others of them are tried
	peers  int

	round  bool      // one is under way
	next   Source    // of the round
	due    time.Time // of next, or of the next round
	failed int       // rounds in a row
}

// NewJoining makes one that knows nobody. The seed spreads the waits of nodes that
// lost the same neighbour at one moment.
func NewJoining(seed uint64) *Joining { return &Joining{seed: seed} }

// Step takes an input and says whom to try.
func (j *Joining) Step(now time.Time, in Input) []Try {
	switch in := in.(type) {
	case Heard:
		return j.heard(now, in)
	case Tried:
		return j.tried(now, in)
	case Peers:
		j.peers = in.N
	}
	return j.advance(now)
}

// Failed is how many rounds in a row, of all who were known, reached nobody.
func (j *Joining) Failed() int { return j.failed }

// NextWake is when to tick.
func (j *Joining) NextWake() (time.Time, bool) {
	return j.due, j.peers == 0 && !j.due.IsZero()
}

// heard: whoever is on the local network is tried at once, also when there are
// neighbours already; others only when there are none.
func (j *Joining) heard(now time.Time, in Heard) []Try {
	if in.Source >= sources {
		return nil
	}
	var taken []Contact
	for _, c := range in.Contacts {
		if c.Fits() && len(taken) < MaxContacts {
			taken = append(taken, c)
		}
	}
	if in.Source == Named {
		return j.named(now, taken)
	}
	list := slices.DeleteFunc(j.lists[in.Source], func(old Contact) bool {
		return slices.ContainsFunc(taken, func(c Contact) bool { return c.Node == old.Node })
	})
	list = append(list, taken...)
	j.lists[in.Source] = list[max(0, len(list)-MaxContacts):]
	switch {
	case len(taken) == 0:
		return nil
	case in.Source == Local && j.flying[Local]:
		j.late = append(j.late, taken...)
		j.late = j.late[max(0, len(j.late)-MaxContacts):]
		return j.advance(now)
	case in.Source == Local:
		return append(j.try(Local, taken), j.advance(now)...)
	case j.peers == 0 && !j.round, j.round && in.Source < j.next && !j.flying[in.Source]:
		// The news may be what was missing: nobody waits for the next round.
		if !j.round {
			j.begin(now)
			break
		}
		return j.try(in.Source, taken)
	}
	return j.advance(now)
}

// named: another answer than the last is tried by itself. It ends no wait, or who fills
// the role had everybody dialled again as often as it is asked.
func (j *Joining) named(now time.Time, taken []Contact) []Try {
	same := slices.EqualFunc(taken, j.lists[Named], func(a, b Contact) bool { return a.Node == b.Node && slices.Equal(a.Addrs, b.Addrs) })
	j.lists[Named] = taken
	if j.peers == 0 && !j.round && j.due.IsZero() && len(taken) > 0 { // the first word at all
		j.begin(now)
		return j.advance(now)
	}
	if same || len(taken) == 0 || j.peers > 0 || j.flying[Named] || j.round && j.next <= Named {
		return j.advance(now)
	}
	return j.try(Named, taken)
}

func (j *Joining) tried(now time.Time, in Tried) []Try {
	if in.Source >= sources || !j.flying[in.Source] {
		return nil
	}
	j.flying[in.Source] = false
	if in.Joined {
		j.peers = max(j.peers, 1) // until the next count
	} else if j.round && in.Source+1 == j.next {
		j.due = now // nothing to wait for
	}
	var more []Try
	if late := j.late; in.Source == Local && len(late) > 0 {
		j.late = nil
		more = j.try(Local, late)
	}
	return append(more, j.advance(now)...)
}

func (j *Joining) try(s Source, contacts []Contact) []Try {
	j.flying[s] = true
	return []Try{{s, slices.Clone(contacts)}}
}

func (j *Joining) begin(now time.Time) { j.round, j.next, j.due = true, 0, now }

// advance does what is due.
func (j *Joining) advance(now time.Time) []Try {
	if j.peers > 0 {
		j.round, j.failed, j.due = false, 0, time.Time{}
		return nil
	}
	if !j.round && !now.Before(j.due) {
		j.begin(now)
	}
	for j.round && !now.Before(j.due) {
		if j.next == sources {
			if slices.Contains(j.flying[:], true) {
				j.due = now.Add(headStart) // its Tried comes before, or the daemon hangs
				return nil
			}
			j.round = false
			j.due = now.Add(j.wait())
			j.failed++
			return nil
		}
		s := j.next
		j.next++
		if len(j.lists[s]) == 0 || j.flying[s] {
			continue
		}
		j.due = now.Add(headStart)
		return j.try(s, j.lists[s])
	}
	return nil
}

// wait is between this round and the next, up to a half longer by chance.
func (j *Joining) wait() time.Duration {
	d := lastWait
	if j.failed < 10 {
		d = min(lastWait, firstWait<<j.failed)
	}
	h := sha256.Sum256(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, j.seed), uint64(j.failed)))
	return d + d*time.Duration(h[0])/512
}
