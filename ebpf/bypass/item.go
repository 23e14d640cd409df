// SPDX-License-Identifier: Apache-2.0

package bypass

import (
	"context"
	"fmt"
	"slices"

	"croft/ebpf"
)

// An Item is one way in which somebody in a sliver could try to get around its
// limits.
type Item struct {
	Name  string
	About string
	At    Spot   // where is counted what came through
	Stops string // what stops it where there is no guard; empty: without a guard it works
	Known string // a hole that is not mended yet: who can use it

	direction ebpf.Direction                            // of the lease that is tried
	late      bool                                      // the link goes up under fire
	none      bool                                      // nothing may arrive at all, not even within the lease
	byHost    bool                                      // what arrives, the host sent itself
	attack    func(*stage) ([]*flood, error)            // prepares; the floods begin together
	meanwhile func(ctx context.Context, s *stage) error // goes on beside them
	after     func(*stage) error                        // looks for damage that no counter shows
}

// A Spot is an interface at which is counted.
type Spot string

const (
	AtWorld Spot = "world" // of the receiver outside, behind the host
	AtPeer  Spot = "peer"  // of another sliver of the node
	AtSelf  Spot = "self"  // of the attacking sliver, or the attacked one
	// AtNode is the host end of the sliver's own veth, behind the guard: for what
	// the node's rules keep from the world in any case.
	AtNode Spot = "node"
)

// Items lists the suite in the order in which it runs.
func Items() []Item {
	return slices.Concat(plain, crafted, links, offloads, moments, inbound)
}

// Select returns the items of these names, in the suite's order; none is all.
func Select(names []string) ([]Item, error) {
	all := Items()
	if len(names) == 0 {
		return all, nil
	}
	for _, name := range names {
		if !slices.ContainsFunc(all, func(it Item) bool { return it.Name == name }) {
			return nil, fmt.Errorf("%q: %w", name, ErrNoItem)
		}
	}
	return slices.DeleteFunc(all, func(it Item) bool { return !slices.Contains(names, it.Name) }), nil
}

// A Verdict is what a run of an item shows.
type Verdict string

const (
	// Held: what was received is within the lease, and the control shows that
	// the attack works where there is no guard.
	Held Verdict = "held"
	// Moot: it is within the lease, and it is without a guard too, for the reason
	// that the item gives. This proves nothing about the guard.
	Moot Verdict = "moot"
	// Hole: more was received than the lease allows.
	Hole Verdict = "HOLE"
	// Known: the same, and the item says who can use it.
	Known Verdict = "KNOWN"
	// Weak: too little was sent, or the control exceeded nothing.
	Weak Verdict = "weak"
)

// Traffic is packets on the wire and their octets at L3.
type Traffic struct {
	Packets uint64 `json:"packets"`
	Octets  uint64 `json:"octets"`
}

// Result is what became of one item.
type Result struct {
	Item     string  `json:"item"`
	About    string  `json:"about"`
	At       Spot    `json:"counted_at"`
	Verdict  Verdict `json:"verdict"`
	Why      string  `json:"why,omitempty"`
	Seconds  float64 `json:"seconds"`  // counted, by the boot clock
	Sent     Traffic `json:"sent"`     // what the sender's kernel took
	Offered  float64 `json:"offered"`  // sent ÷ lease, of octets or packets the larger
	Received Traffic `json:"received"` // at the receiver's interface
	Allowed  Traffic `json:"allowed"`  // rate × t + burst
	// Used is received ÷ allowed in the worst window of at least a second, of
	// octets or packets the larger: over 1 is a hole.
	Used float64 `json:"used"`
	// Control is the same ratio with the guard detached and nothing shaped.
	Control         float64 `json:"control"`
	ControlReceived Traffic `json:"control_received"`
}

// Err is nil for a result that is as it should be.
func (r Result) Err() error {
	switch r.Verdict {
	case Hole, Known:
		return fmt.Errorf("%s: %w: %s", r.Item, ErrHole, r.Why)
	case Weak:
		return fmt.Errorf("%s: %w: %s", r.Item, ErrWeak, r.Why)
	}
	return nil
}

// String is a line for people.
func (r Result) String() string {
	s := fmt.Sprintf("%-18s %-5s sent %.0f× the lease; %s got %d packets and %d octets of %d and %d, %.2f at worst; without a guard %.1f×",
		r.Item, r.Verdict, r.Offered, r.At, r.Received.Packets, r.Received.Octets, r.Allowed.Packets, r.Allowed.Octets, r.Used, r.Control)
	if r.Why != "" {
		s += ": " + r.Why
	}
	return s
}
