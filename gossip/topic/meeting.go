// SPDX-License-Identifier: Apache-2.0

package topic

import (
	"bytes"
	"net/netip"
	"slices"
	"time"

	"croft/lease"
)

// Met is the answer to an attendance: the others at the place, signed, newest
// first.
type Met struct {
	Others [][]byte `cbor:"1,keyasint,omitempty"`
}

// MaxMeeting is the size in bytes of a Met.
const MaxMeeting = MaxMet*(MaxAttendance+4) + 16

// DecodeMet reads an answer and its bounds; the attendances are not opened.
func DecodeMet(b []byte) (m Met, err error) {
	if err := lease.Decode(b, &m, MaxMeeting); err != nil {
		return Met{}, err
	}
	if len(m.Others) > MaxMet {
		return Met{}, lease.ErrTooBig
	}
	return m, nil
}

// Meeting holds, for the peers to whose keys places are close, who attends. It is
// not safe for concurrent use.
type Meeting struct {
	perNetwork int
	places     map[Place][]attendee
}

type attendee struct {
	Attendance
	bytes   []byte
	network netip.Prefix
}

// NewMeeting returns one where nobody is. perNetwork is how many of a place may
// come from one source network (/24 or /48); 0 is a quarter.
func NewMeeting(shared int) *Meeting {
	if shared <= 0 {
		shared = perNetwork
	}
	return &Meeting{perNetwork: shared, places: map[Place][]attendee{}}
}

// Attend judges a signed attendance that came from a source network, keeps it if
// there is room, and returns who else is there. Somebody who finds no room meets
// the others all the same.
func (m *Meeting) Attend(now time.Time, b []byte, from netip.Prefix) (Met, error) {
	a, err := OpenAttendance(b, now)
	if err != nil {
		return Met{}, err
	}
	here := slices.DeleteFunc(m.places[a.Place], func(o attendee) bool { return o.Until < now.Unix() })
	at := slices.IndexFunc(here, func(o attendee) bool { return o.Node == a.Node })
	switch {
	case at >= 0 && here[at].Made >= a.Made: // an older one, or the same, that anybody may repeat
	case at >= 0:
		here = slices.Delete(here, at, at+1)
		fallthrough
	default:
		if a.Until > a.Made {
			here = m.admit(here, attendee{a, bytes.Clone(b), from})
		}
	}
	var met Met
	for i := len(here) - 1; i >= 0; i-- {
		if here[i].Node != a.Node {
			met.Others = append(met.Others, here[i].bytes)
		}
	}
	m.keep(now, a.Place, here)
	return met, nil
}

// admit adds who comes to who is there, oldest first. When the place is full, the
// oldest of the network that has most there goes, if the newcomer's has less.
func (m *Meeting) admit(here []attendee, a attendee) []attendee {
	of := map[netip.Prefix]int{}
	for _, o := range here {
		of[o.network]++
	}
	if of[a.network] >= m.perNetwork {
		return here
	}
	if len(here) >= MaxMet {
		most := here[0].network
		for _, o := range here {
			if of[o.network] > of[most] {
				most = o.network
			}
		}
		if of[most] <= of[a.network]+1 {
			return here
		}
		oldest := slices.IndexFunc(here, func(o attendee) bool { return o.network == most })
		here = slices.Delete(here, oldest, oldest+1)
	}
	return append(here, a)
}

// keep notes who is at a place. When there are too many places, those where
// nobody is any more are forgotten, and else the newcomer finds no room.
func (m *Meeting) keep(now time.Time, p Place, here []attendee) {
	if _, known := m.places[p]; !known && len(m.places) >= maxPlaces {
		for other, there := range m.places {
			if !slices.ContainsFunc(there, func(o attendee) bool { return o.Until >= now.Unix() }) {
				delete(m.places, other)
			}
		}
		if len(m.places) >= maxPlaces {
			return
		}
	}
	if len(here) == 0 {
		delete(m.places, p)
		return
	}
	m.places[p] = here
}

// Places returns at how many places somebody is, or was until a while ago.
func (m *Meeting) Places() int { return len(m.places) }
