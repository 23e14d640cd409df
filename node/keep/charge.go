// SPDX-License-Identifier: Apache-2.0

package keep

import (
	"fmt"
	"time"

	"croft/lease"
	"croft/lease/offer"
	"croft/sandbox"
)

// Charge is what the owner of a slice wants kept, and with what right. Instants are
// Unix seconds.
type Charge struct {
	Slice string          `json:"slice" doc:"the label" maxLength:"63"`
	Owner lease.Principal `json:"owner" doc:"of the slice, who hands it over"`
	Want  int             `json:"want" minimum:"1" maximum:"64" doc:"slivers"`
	Where string          `json:"where,omitempty" maxLength:"1024" doc:"which nodes: a query"`
	Term  int64           `json:"term" doc:"seconds of each lease, 120 to 86400"`
	Until int64           `json:"until" doc:"when it ends, if the grant does not before"`

	Pool    lease.Pool      `json:"pool" doc:"of nodes, to ask for leases; one that wants no tickets"`
	RSet    lease.RSet      `json:"rset" doc:"of each new sliver"`
	Ports   []lease.Port    `json:"ports,omitempty" maxItems:"16"`
	FanOut  uint16          `json:"fan_out,omitempty"`
	Program sandbox.Program `json:"program" doc:"what slivers run, as when a lease is activated; its image comes from nodes that have it"`

	Nodes     []lease.Principal `json:"nodes,omitempty" maxItems:"256" doc:"where slivers of it are now"`
	Authority []byte            `json:"authority" doc:"the grant to this node, of run, renew and stop, with the record on which it stands"`
}

// Check returns why a charge cannot be kept at an instant, as [ErrCharge], and when the
// grant in it ends: by is who would keep it. Whether the grant stands is for whoever
// knows the slice's newest record.
func (c Charge) Check(by lease.Principal, now time.Time) (lease.Authority, error) {
	bad := func(format string, args ...any) (lease.Authority, error) {
		return lease.Authority{}, fmt.Errorf("%w: "+format, append([]any{ErrCharge}, args...)...)
	}
	if err := lease.CheckLabel(c.Slice); err != nil {
		return bad("%w", err)
	}
	term := time.Duration(c.Term) * time.Second
	switch {
	case c.Want < 1 || c.Want > MaxWant:
		return bad("%d slivers, want 1 to %d", c.Want, MaxWant)
	case c.Term < int64(MinTerm/time.Second) || c.Term > int64(MaxTerm/time.Second):
		return bad("leases of %s, want %s to %s", term, MinTerm, MaxTerm)
	case c.Until <= now.Unix():
		return bad("it has ended already")
	case len(c.Where) > maxWhere:
		return bad("a query of %d bytes, limit %d", len(c.Where), maxWhere)
	case c.Pool == "" || c.Pool == lease.PoolSharp:
		return bad("pool %q: want one that gives leases without tickets", c.Pool)
	case len(c.Nodes) > maxPlaces:
		return bad("%d nodes, limit %d", len(c.Nodes), maxPlaces)
	}
	if _, err := offer.ParseQuery(c.Where); err != nil {
		return bad("%w", err)
	}
	if err := c.Program.Check(); err != nil {
		return bad("%w", err)
	}
	if err := sandbox.CheckLimits(c.RSet); err != nil {
		return bad("%w", err)
	}
	a, err := lease.OpenAuthority(c.Authority)
	if err != nil {
		return bad("%w", err)
	}
	// Who acts must be able to do all three: one verb alone keeps nothing at strength.
	for _, verb := range []lease.Verbs{lease.VerbRun, lease.VerbRenew, lease.VerbStop} {
		if err := a.Allows(lease.Deed{By: by, Owner: c.Owner, Slice: c.Slice, Any: verb, At: now.Unix()}); err != nil {
			return bad("%s: %w", verb, err)
		}
	}
	return a, nil
}
