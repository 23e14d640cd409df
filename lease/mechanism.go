// SPDX-License-Identifier: Apache-2.0

package lease

// A Mechanism decides, for one pool, on what terms a wish may be granted. Five
// come with the ledger; the fifth says what was decided outside of it. Another
// takes the same two messages and plugs in beside them (LedgerConfig.Mechanisms):
// both are plain values that encode and print.
//
// A mechanism proposes. The ledger holds what it proposes against the calendar
// of the pool, and charges a hard lease with no less than it gives, so that no
// mechanism, however wrong, can have a node promise what it does not have.
//
// Answer depends on nothing but the question, and is called again for the same
// wish: after a crash, or when a request is repeated that left nothing behind.
type Mechanism interface {
	Name() string
	Answer(Question) Terms
}

// Question is all that a mechanism learns of a wish.
type Question struct {
	Now       int64     `cbor:"1,keyasint" json:"now"` // ledger time, Unix seconds
	Rule      PoolRule  `cbor:"2,keyasint" json:"rule"`
	Op        Kind      `cbor:"3,keyasint" json:"op"` // KindAsk or KindRedeem
	By        Principal `cbor:"4,keyasint" json:"by"`
	RSet      RSet      `cbor:"5,keyasint" json:"rset"`
	Term      Term      `cbor:"6,keyasint" json:"term"`
	Class     Class     `cbor:"7,keyasint,omitempty" json:"class,omitempty"`
	Weight    uint16    `cbor:"8,keyasint,omitempty" json:"weight,omitempty"`
	Exclusive bool      `cbor:"9,keyasint,omitempty" json:"exclusive,omitempty"`
	Renews    bool      `cbor:"10,keyasint,omitempty" json:"renews,omitempty"` // a sliver runs on under it
	Load      RSet      `cbor:"11,keyasint" json:"load"`                       // the pool's peak in the term
	Mine      RSet      `cbor:"12,keyasint" json:"mine"`                       // the asker's own part of that, at its own peak
	Free      RSet      `cbor:"13,keyasint" json:"free"`                       // what the ledger would find room for in all of the term

	Ask     ID        `cbor:"14,keyasint" json:"ask"`                         // of the wish
	Slice   string    `cbor:"15,keyasint" json:"slice"`                       // what it is for
	Owner   Principal `cbor:"16,keyasint" json:"owner"`                       // of that slice
	Bid     string    `cbor:"17,keyasint,omitempty" json:"bid,omitempty"`     // of an ask
	Decided *Decision `cbor:"18,keyasint,omitempty" json:"decided,omitempty"` // outside of the ledger
}

// Terms is a mechanism's answer: a refusal, or how the wish may be granted.
type Terms struct {
	Refusal *Refusal `cbor:"1,keyasint,omitempty" json:"refusal,omitempty"`
	// Class, Weight and Exclusive are what the lease will say: the wish's own, or
	// the ledger refuses.
	Class     Class  `cbor:"2,keyasint,omitempty" json:"class,omitempty"`
	Weight    uint16 `cbor:"3,keyasint,omitempty" json:"weight,omitempty"`
	Exclusive bool   `cbor:"4,keyasint,omitempty" json:"exclusive,omitempty"`
	// Grace is how many seconds lie between a revoke and its effect; 0 is the node's own.
	Grace uint32 `cbor:"5,keyasint,omitempty" json:"grace,omitempty"`
	// Charge is what the calendar is charged during the term. Less than the
	// ledger charges by itself counts as that.
	Charge RSet `cbor:"6,keyasint" json:"charge"`
	// ActivateBy is when the lease ends unless activated, Unix seconds; the
	// ledger's own fuse burns at least as long.
	ActivateBy int64 `cbor:"7,keyasint,omitempty" json:"activate_by,omitempty"`
	// Said is what the holder is told with the grant; what does not print, or is
	// longer than MaxText, is left out.
	Said string `cbor:"8,keyasint,omitempty" json:"said,omitempty"`
	// Undecided: the wish could be granted, and whether it is must be decided
	// elsewhere first. Nothing is booked, kept or signed.
	Undecided bool `cbor:"9,keyasint,omitempty" json:"undecided,omitempty"`
}

// The mechanisms that come with the ledger.
const (
	MechanismSharp     = "sharp"     // redeemed tickets
	MechanismGang      = "gang"      // first come, for all nodes of a slice or none
	MechanismShare     = "share"     // a weighted share of what is idle, evictable
	MechanismCalendar  = "calendar"  // reserved ahead of time
	MechanismAllocator = "allocator" // as the tenant of the role decides
)

func builtIn() map[string]Mechanism {
	all := make(map[string]Mechanism)
	for _, m := range []Mechanism{sharpMechanism{}, gangMechanism{}, shareMechanism{}, calendarMechanism{}, allocatorMechanism{}} {
		all[m.Name()] = m
	}
	return all
}

// plain is the terms of a hard lease as it was wished for.
func (q Question) plain() Terms { return Terms{Charge: q.RSet} }

// refused is the terms of one that the pool does not give.
func refused(format string, args ...any) Terms {
	return Terms{Refusal: refuse(Local, ReasonPolicy, format, args...)}
}

// hard refuses what only other mechanisms give.
func (q Question) hard(alone bool) (Terms, bool) {
	switch {
	case q.Class != Hard:
		return refused("pool %s gives no %s leases", q.Rule.Pool, q.Class), false
	case q.Exclusive && !alone:
		return refused("pool %s gives nothing for one alone", q.Rule.Pool), false
	}
	return Terms{}, true
}
