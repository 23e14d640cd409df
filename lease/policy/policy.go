// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"croft/lease"
)

// Policy is what a node's owner wants, for one machine.
type Policy struct {
	Capacity lease.RSet `json:"capacity"` // what may be leased in all
	Pools    []Pool     `json:"pools"`    // their sums are within Capacity
	Gives    []Give     `json:"gives,omitempty"`
	Refused  []Person   `json:"refused,omitempty"` // sorted by key

	Hold       int64 `json:"hold"`       // seconds from hold to commit
	Activation int64 `json:"activation"` // seconds from commit to activation
	Grace      int64 `json:"grace"`      // seconds between a revoke and its effect
	Quarantine int64 `json:"quarantine"` // seconds that a quarantine outlasts the conflict

	Settings []Setting `json:"settings"` // where each rule comes from
	Notes    []Note    `json:"notes,omitempty"`
}

// Pool is one part of the capacity, on which one mechanism leases.
type Pool struct {
	Name      lease.Pool `json:"name"`
	Mechanism string     `json:"mechanism"`
	Capacity  lease.RSet `json:"capacity"`
	Each      lease.RSet `json:"each,omitzero"`    // of one principal at any instant; 0 is no limit
	Network   lease.RSet `json:"network,omitzero"` // of one source network seen directly; 0 is no limit
	Longest   int64      `json:"longest"`          // term in seconds; 0: the bound of every term
	Ahead     int64      `json:"ahead,omitempty"`  // seconds; 0: as long as Longest
	Only      []Person   `json:"only,omitempty"`   // for whom it is kept; empty: anybody

	// IdleOnly: leases are evictable. What is idle is theirs, and they go with
	// notice when one who was promised it needs it.
	IdleOnly  bool  `json:"idle_only,omitempty"`
	Notice    int64 `json:"notice,omitempty"` // seconds
	MaxWeight int64 `json:"max_weight,omitempty"`
	Borrow    bool  `json:"borrow,omitempty"`  // what tickets have not drawn is lent here
	NoShow    int64 `json:"no_show,omitempty"` // seconds into a reservation
	Exclusive bool  `json:"exclusive,omitempty"`
}

// Person is a principal as the policy calls it.
type Person struct {
	Name      string          `json:"name"`
	Principal lease.Principal `json:"principal"`
}

// Give is a ticket that a peer always has: renewed by half of its term.
type Give struct {
	To     Person     `json:"to"`
	RSet   lease.RSet `json:"rset"`
	Degree uint16     `json:"degree"` // hundredths
	Term   int64      `json:"term"`   // seconds
	At     Mark       `json:"at"`

	// Number tells apart the gives to one principal: 0 for the first.
	Number int `json:"number,omitempty"`
}

// Setting is one rule and where it comes from.
type Setting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	From  Mark   `json:"from,omitzero"`
}

// Note is something in a policy that is allowed and perhaps not meant.
type Note struct {
	At   Mark   `json:"at"`
	Text string `json:"text"`
}

// Rule is the pool as the ledger takes it.
func (p Pool) Rule() lease.PoolRule {
	rule := lease.PoolRule{Pool: p.Name, Mechanism: p.Mechanism, Capacity: p.Capacity, PerPrincipal: p.Each, PerNetwork: p.Network,
		MaxTerm: p.Longest, Ahead: p.Ahead, Notice: uint32(p.Notice), MaxWeight: uint16(p.MaxWeight), Borrow: p.Borrow,
		NoShow: p.NoShow, Exclusive: p.Exclusive}
	if p.IdleOnly { // what is idle is lent, to whoever can be asked to leave
		rule.Mechanism, rule.Borrow, rule.MaxWeight = Share, true, lease.MaxWeight
	}
	for _, who := range p.Only {
		rule.Only = append(rule.Only, who.Principal)
	}
	return rule
}

// Rules are the pools as the ledger takes them.
func (p Policy) Rules() []lease.PoolRule {
	rules := make([]lease.PoolRule, len(p.Pools))
	for i, pool := range p.Pools {
		rules[i] = pool.Rule()
	}
	return rules
}

// Pool returns a pool by its name.
func (p Policy) Pool(name lease.Pool) (Pool, bool) {
	for _, pool := range p.Pools {
		if pool.Name == name {
			return pool, true
		}
	}
	return Pool{}, false
}

// Barred returns the keys that are refused.
func (p Policy) Barred() []lease.Principal {
	out := make([]lease.Principal, len(p.Refused))
	for i, who := range p.Refused {
		out[i] = who.Principal
	}
	return out
}

// Base is what holds where a policy is silent.
type Base struct {
	Measured lease.RSet       // the whole machine, of which shares of the capacity are
	Capacity lease.RSet       // what may be leased
	Each     lease.RSet       // what one principal may have of the commons
	Pools    []lease.PoolRule // as they are if nobody says anything; of their sizes only the proportions count
}

// NewBase leases out half of what was measured of processors, memory and disk:
// the rest is the owner's own. The other resources are told, not measured, and
// are told for this purpose.
func NewBase(measured lease.RSet) Base {
	b := Base{Measured: measured, Capacity: measured, Pools: lease.DefaultPools(proportions)}
	for _, rule := range b.Pools {
		if rule.Pool == lease.PoolCommons {
			b.Each = rule.PerPrincipal
		}
	}
	for _, r := range []lease.Resource{lease.CPU, lease.Memory, lease.Disk} {
		b.Capacity[r] = whole(r, measured[r]/2)
	}
	return b
}

// proportions is a capacity of which the default pools' sizes are parts without
// a remainder.
var proportions = func() (s lease.RSet) {
	for r := range s {
		s[r] = 1 << 16
	}
	return s
}()

// rule is what holds in a pool of which nobody says anything.
func (b Base) rule(name lease.Pool) (lease.PoolRule, bool) {
	for _, rule := range b.Pools {
		if rule.Pool == name {
			return rule, true
		}
	}
	return lease.PoolRule{Pool: name}, false
}

// What a node does without a word from its owner, in seconds.
const (
	DefaultHold       = 30
	DefaultActivation = 60
	DefaultGrace      = 60
	DefaultQuarantine = 7 * day
	defaultLongest    = day      // in the commons
	defaultOwnLongest = 30 * day // in a pool that is kept for somebody
	defaultGive       = 30 * day
	defaultAhead      = 30 * day // of a calendar
)

// Parse reads the owner's policy for a machine on which nothing else is
// configured, and follows nobody. The error is an [Errors].
func Parse(text []byte, measured lease.RSet) (Policy, error) {
	own, err := Read("policy.toml", text)
	if err != nil {
		return Policy{}, err
	}
	return NewBase(measured).Compile(own)
}
