// SPDX-License-Identifier: Apache-2.0

package lease

// Decision is what somebody outside of the ledger decided of a wish, and an input
// with it: who that is, and how it came about, is the owner's affair. It is no
// promise: the wish is judged as any other, so whatever was decided, nobody is
// given what the pool does not have.
type Decision struct {
	Refusal string `cbor:"1,keyasint,omitempty" json:"refusal,omitempty"` // why not; empty: it may be granted
	Said    string `cbor:"2,keyasint,omitempty" json:"said,omitempty"`    // what the holder is told with the grant
}

// allocatorMechanism gives what was decided to be given. A wish that comes without
// a decision is looked at as if it were granted, so that nobody is asked to decide
// about what cannot be, and is undecided then.
type allocatorMechanism struct{}

func (allocatorMechanism) Name() string { return MechanismAllocator }

func (allocatorMechanism) Answer(q Question) Terms {
	if q.Op != KindAsk {
		return refused("pool %s takes no tickets", q.Rule.Pool)
	}
	if no, ok := q.hard(false); !ok {
		return no
	}
	t := q.plain()
	switch {
	case q.Decided == nil:
		t.Undecided = true
	case q.Decided.Refusal != "":
		if reason(q.Decided.Refusal) != nil {
			return refused("pool %s: it was decided not to, for a reason that cannot be told", q.Rule.Pool)
		}
		return refused("%s", q.Decided.Refusal)
	default:
		t.Said = q.Decided.Said
	}
	return t
}
