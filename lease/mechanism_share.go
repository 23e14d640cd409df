// SPDX-License-Identifier: Apache-2.0

package lease

import wide "math/bits"

// shareMechanism gives evictable leases: of what adds up by the second each gets
// its weight's part of whatever nobody has booked, now more, now less; of what a
// program keeps (memory, disk) it gets what it asked for, until somebody with a
// ticket needs the room and the lease is revoked with notice.
type shareMechanism struct{}

func (shareMechanism) Name() string { return MechanismShare }

func (shareMechanism) Answer(q Question) Terms {
	switch {
	case q.Op != KindAsk:
		return refused("pool %s takes no tickets", q.Rule.Pool)
	case q.Class != Evictable:
		return refused("pool %s gives evictable leases only: ask for a weight", q.Rule.Pool)
	case q.Exclusive:
		return refused("pool %s gives nothing for one alone", q.Rule.Pool)
	case q.Weight > q.Rule.MaxWeight:
		return refused("weight %d, pool %s gives at most %d", q.Weight, q.Rule.Pool, q.Rule.MaxWeight)
	}
	return Terms{Class: Evictable, Weight: q.Weight, Grace: q.Rule.Notice, Charge: keeps(q.RSet)}
}

// shareFloor is what an evictable lease has of each elastic resource however
// little is idle, unless it asked for less: a sliver without any of it could not
// even end in good order, and the kernel holds no less. It is charged to the
// pool; what is divided is the rest.
var shareFloor = RSet{CPU: 10, IO: 64 << 10, EgressRate: 64_000, IngressRate: 64_000, EgressPackets: 50, IngressPackets: 50}

// elastic reports whether a resource can be given and taken by the second.
func elastic(r Resource) bool { return shareFloor[r] > 0 }

// keeps is what an evictable lease of s is charged: what cannot be taken back
// by the second, and the floor of what can.
func keeps(s RSet) RSet {
	for r := range s {
		if elastic(Resource(r)) {
			s[r] = min(s[r], shareFloor[r])
		}
	}
	return s
}

// claimant is one lease's part in a division.
type claimant struct {
	weight      uint64
	least, most uint64
	share       uint64
}

// levelBits are the binary places of a level: what one unit of weight gets. The
// smallest step, times the greatest weight, is under a thousandth of a unit.
const levelBits = 20

// divide gives each claimant its weight's part of amount, but never less than
// its least nor more than its most; what one cannot take the others get, by
// weight again. It is the highest level at which the parts fit: found to the
// last bit in 64 steps, with integers, so that every node and every rerun
// divides alike. Where the leasts alone exceed amount, they are what they get.
func divide(amount uint64, list []claimant) {
	var level uint64
	for bit := uint64(1) << 63; bit > 0; bit >>= 1 {
		if fill(list, level|bit) <= amount {
			level |= bit
		}
	}
	fill(list, level)
}

// fill sets the parts at a level and returns their sum, which stands still at
// the largest value.
func fill(list []claimant, level uint64) (sum uint64) {
	for i := range list {
		c := &list[i]
		hi, lo := wide.Mul64(level, c.weight) // hi < weight: no overflow below
		part := hi<<(64-levelBits) | lo>>levelBits
		c.share = max(c.least, min(part, c.most))
		if sum += c.share; sum < c.share {
			sum = 1<<64 - 1
		}
	}
	return sum
}
