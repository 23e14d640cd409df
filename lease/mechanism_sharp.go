// SPDX-License-Identifier: Apache-2.0

package lease

// sharpMechanism gives what tickets promise, to who redeems them. Whether the
// ticket is good for it the ledger knows by then.
type sharpMechanism struct{}

func (sharpMechanism) Name() string { return MechanismSharp }

func (sharpMechanism) Answer(q Question) Terms {
	if q.Op != KindRedeem {
		return refused("pool %s is for tickets", q.Rule.Pool)
	}
	if no, ok := q.hard(false); !ok {
		return no
	}
	return q.plain()
}
