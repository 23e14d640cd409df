// SPDX-License-Identifier: Apache-2.0

package dht

import (
	"fmt"

	"croft/lease"
	"croft/lease/offer"
)

// Op says what a request wants. The numbers are on the wire.
type Op uint8

const (
	OpRegister Op = 1
	OpWithdraw Op = 2
	OpList     Op = 3
)

// Request is one message to a holder.
type Request struct {
	Op      Op              `cbor:"1,keyasint"`
	Offer   []byte          `cbor:"2,keyasint,omitempty"` // register, withdraw
	Buckets []Key           `cbor:"3,keyasint,omitempty"` // register: where to; list: the one
	After   lease.Principal `cbor:"4,keyasint,omitzero"`  // list: the cursor
	Limit   uint16          `cbor:"5,keyasint,omitempty"` // list: at most so many; 0 asks for the size only
}

// Status is what became of a registration in one bucket. The numbers are on the
// wire.
type Status uint8

const (
	Stored  Status = 0 // it is there, or was
	Full    Status = 1 // MaxEntries are there: go on to the part one bit deeper
	Crowded Status = 2 // the share of this source network or site is used up
	Alien   Status = 3 // the offer does not belong into this bucket
	Stale   Status = 4 // a newer offer of the node is there
	Moved   Status = 5 // the node's older offer was here; the new one does not belong and the old one went
	Busy    Status = 6 // the holder keeps no more buckets
	Invalid Status = 7 // the offer does not open, or has expired
	Removed Status = 8 // withdrawn
	Unknown Status = 9 // nothing was there to withdraw
)

func (s Status) String() string {
	names := [...]string{"stored", "full", "crowded", "alien", "stale", "moved", "busy", "invalid", "removed", "unknown"}
	if int(s) < len(names) {
		return names[s]
	}
	return fmt.Sprintf("status(%d)", uint8(s))
}

// MarshalText lets states be the keys of a JSON object.
func (s Status) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Response answers one request.
type Response struct {
	Status []Status        `cbor:"1,keyasint,omitempty"` // one for each bucket of a register; one for a withdraw
	Split  bool            `cbor:"2,keyasint,omitempty"` // list: offers lie in the parts of the bucket, too
	Size   uint32          `cbor:"3,keyasint,omitempty"` // list: entries of the bucket
	Offers [][]byte        `cbor:"4,keyasint,omitempty"` // list: signed, by node; withdrawals included
	After  lease.Principal `cbor:"5,keyasint,omitzero"`  // list: the next cursor; zero at the end
}

// DecodeRequest reads a request and its bounds; the offer is not opened.
func DecodeRequest(b []byte) (r Request, err error) {
	if err := lease.Decode(b, &r, MaxRequest); err != nil {
		return Request{}, fmt.Errorf("reading request: %w", err)
	}
	ok := false
	switch r.Op {
	case OpRegister:
		ok = len(r.Offer) > 0 && len(r.Buckets) > 0 && len(r.Buckets) <= MaxBuckets
	case OpWithdraw:
		ok = len(r.Offer) > 0 && len(r.Buckets) == 0
	case OpList:
		ok = len(r.Offer) == 0 && len(r.Buckets) == 1
	}
	if !ok {
		return Request{}, fmt.Errorf("reading request %d with %d buckets and an offer of %d bytes: %w",
			r.Op, len(r.Buckets), len(r.Offer), ErrMessage)
	}
	return r, nil
}

// DecodeResponse reads a response and its bounds; the offers are not opened.
func DecodeResponse(b []byte) (r Response, err error) {
	if err := lease.Decode(b, &r, MaxResponse); err != nil {
		return Response{}, fmt.Errorf("reading response: %w", err)
	}
	if len(r.Status) > MaxBuckets || len(r.Offers) > PageEntries || r.Size > MaxEntries {
		return Response{}, fmt.Errorf("reading response: %d states, %d offers, size %d: %w",
			len(r.Status), len(r.Offers), r.Size, ErrMessage)
	}
	for _, o := range r.Offers {
		if len(o) > offer.MaxOffer {
			return Response{}, fmt.Errorf("reading response: offer of %d bytes: %w", len(o), ErrMessage)
		}
	}
	return r, nil
}
