// SPDX-License-Identifier: Apache-2.0

package topic

import (
	"fmt"
	"time"

	"croft/lease"
	"croft/lease/offer"
)

// MeetingDomain separates signatures over attendances from every other use of a key.
const MeetingDomain = "croft/meeting/1\n"

// Place is where the subscribers of one topic meet: a key of the DHT.
type Place [32]byte

// Attendance is what a node says at a place: that it subscribes, and how to reach
// it.
type Attendance struct {
	Node  lease.Principal `cbor:"1,keyasint"` // who signs
	Place Place           `cbor:"2,keyasint"`
	Made  int64           `cbor:"3,keyasint"`           // Unix seconds
	Until int64           `cbor:"4,keyasint"`           // Unix seconds; the node leaves if it is Made
	Addrs [][]byte        `cbor:"5,keyasint,omitempty"` // multiaddrs without the peer's id, as bytes
}

// SealAttendance signs an attendance.
func SealAttendance(a Attendance, key lease.Signer) ([]byte, error) {
	s, err := lease.SealAs(MeetingDomain, a, key)
	if err != nil {
		return nil, fmt.Errorf("sealing an attendance: %w", err)
	}
	return s.Bytes(), nil
}

// OpenAttendance reads an attendance that holds at now: rules A1 to A3 of
// docs/protocol/topics.md.
func OpenAttendance(b []byte, now time.Time) (a Attendance, err error) {
	s, err := lease.ParseSigned(b, MaxAttendance)
	if err != nil {
		return a, fmt.Errorf("attendance: %w", err)
	}
	if err := lease.Decode(s.Payload, &a, MaxAttendance); err != nil {
		return a, fmt.Errorf("attendance: %w", err)
	}
	if a.Node.IsZero() || a.Made <= 0 || a.Until < a.Made || a.Until-a.Made > MaxAttendTerm || len(a.Addrs) > MaxAddrs {
		return a, fmt.Errorf("attendance of %s: %w", a.Node.Short(), lease.ErrField)
	}
	for _, addr := range a.Addrs {
		if len(addr) == 0 || len(addr) > MaxAddr {
			return a, fmt.Errorf("attendance of %s, address of %d bytes: %w", a.Node.Short(), len(addr), lease.ErrField)
		}
	}
	if err := s.VerifyAs(MeetingDomain, a.Node); err != nil {
		return a, fmt.Errorf("attendance of %s: %w", a.Node.Short(), err)
	}
	switch {
	case a.Made > now.Add(offer.MaxSkew).Unix():
		return a, fmt.Errorf("attendance of %s: %w", a.Node.Short(), offer.ErrEarly)
	case a.Until < now.Unix():
		return a, fmt.Errorf("attendance of %s: %w", a.Node.Short(), offer.ErrExpired)
	}
	return a, nil
}
