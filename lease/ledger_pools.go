// SPDX-License-Identifier: Apache-2.0

package lease

// PoolRule is one pool: disjoint from the others, with a mechanism of its own.
type PoolRule struct {
	Pool         Pool   `json:"pool"`
	Mechanism    string `json:"mechanism"` // empty is sharp for the sharp pool, gang for others
	Capacity     RSet   `json:"capacity"`
	PerPrincipal RSet   `json:"per_principal,omitzero"` // at any instant; a resource of which it has 0 is not limited
	MaxTerm      int64  `json:"max_term"`               // seconds; 0 means the bound of every term
	Ahead        int64  `json:"ahead"`                  // seconds by which a lease may be asked for ahead; 0 means MaxTerm

	Only       []Principal `json:"only,omitempty"`       // for whom the pool is kept; none: anybody
	PerNetwork RSet        `json:"per_network,omitzero"` // as PerPrincipal, of one source network

	// Of a share pool.
	Notice    uint32 `json:"notice,omitempty"`     // seconds between a revoke and its effect; 0 means DefaultNotice
	MaxWeight uint16 `json:"max_weight,omitempty"` // of one lease; 0 means the bound of every weight
	Borrow    bool   `json:"borrow,omitempty"`     // what tickets have not drawn is lent out, until they do

	// Of a calendar pool.
	NoShow    int64 `json:"no_show,omitempty"`   // seconds that a reserved lease waits to be activated; 0 means DefaultNoShow
	Exclusive bool  `json:"exclusive,omitempty"` // the whole pool may be had alone
}

func (r PoolRule) bounded() PoolRule {
	for i := range r.Capacity {
		r.Capacity[i] = min(r.Capacity[i], MaxAmount)
	}
	if r.MaxTerm <= 0 || r.MaxTerm > MaxTerm {
		r.MaxTerm = MaxTerm
	}
	if r.Ahead <= 0 {
		r.Ahead = r.MaxTerm
	}
	if r.Mechanism == "" {
		r.Mechanism = MechanismGang
		if r.Pool == PoolSharp {
			r.Mechanism = MechanismSharp
		}
	}
	switch r.Mechanism {
	case MechanismShare:
		if r.Notice == 0 {
			r.Notice = DefaultNotice
		}
		if r.MaxWeight == 0 {
			r.MaxWeight = MaxWeight
		}
		r.Notice, r.MaxWeight = min(r.Notice, MaxTerm), min(r.MaxWeight, MaxWeight)
	case MechanismCalendar:
		if r.NoShow <= 0 {
			r.NoShow = DefaultNoShow
		}
		r.NoShow = min(r.NoShow, MaxTerm)
	}
	return r
}

// borrows reports whether the pool grants what tickets have not drawn.
func (r *PoolRule) borrows() bool { return r.Mechanism == MechanismShare && r.Borrow }

// joint reports whether the pool lends to the others, or has borrowed from them:
// a debt does not go away with the rule that allowed it.
func (b *poolBook) joint() bool { return b.Pool == PoolSharp || b.borrows() || b.lent > 0 }

// DefaultPools is what a node gives without a policy file.
//
// Half of its capacity is the commons, where anybody may have a little for a
// day: a newcomer's first path. What one principal may have there is small
// enough that free keys gain little, and enough to run a probe or a small
// service. A quarter is for tickets: what the owner promises to people of its
// own choice. An eighth may be reserved ahead of time. The last eighth is shared
// by weight: least, as its leases live on what is idle in all the others, and
// keep memory and disk that tickets have not drawn. Nobody gets the calendar's
// pool alone: a stranger could shut it.
func DefaultPools(capacity RSet) []PoolRule {
	var commons, sharp, calendar RSet
	for r, v := range capacity {
		commons[r], sharp[r], calendar[r] = v-v/2, v/4, v/8
	}
	each := RSet{
		CPU: 500, Memory: 256 << 20, Disk: 1 << 30, Pids: 128,
		IO:         32 << 20,
		EgressRate: 10e6, IngressRate: 10e6, EgressPackets: 2000, IngressPackets: 2000,
		EgressDaily: 10e6 / 8 * 24 * 3600, // what the rate allows
		FlowsNew:    200, FlowsLive: 1000, PortsIn: 2, PortsOut: 1024,
	}
	const day = 24 * 3600
	return []PoolRule{
		{Pool: PoolCommons, Mechanism: MechanismGang, Capacity: commons, PerPrincipal: each, MaxTerm: day},
		{Pool: PoolSharp, Mechanism: MechanismSharp, Capacity: sharp},
		{Pool: PoolCalendar, Mechanism: MechanismCalendar, Capacity: calendar, PerPrincipal: each, MaxTerm: day, Ahead: 30 * day},
		{Pool: PoolShare, Mechanism: MechanismShare, Capacity: capacity.Minus(commons).Minus(sharp).Minus(calendar), PerPrincipal: each,
			MaxTerm: day, MaxWeight: 100, Borrow: true},
	}
}
