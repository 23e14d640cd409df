// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"bytes"
	"fmt"
)

// The ledger judges grants by what is shown to it and by its own time. Whether a
// newer record is known is its owner's affair: it puts that in the place of the
// one that was shown.

// granted holds an authority against a deed.
func (l *Ledger) granted(shown []byte, d Deed) error {
	if len(shown) == 0 {
		return fmt.Errorf("slice %s is of %s: %w", d.Slice, d.Owner.Short(), ErrGrant)
	}
	a, err := OpenAuthority(shown)
	if err != nil {
		return err
	}
	return a.Allows(d)
}

// deed is what a wish for a slice of another's needs: to run, or to renew what
// runs.
func (w *want) deed(now int64) Deed {
	d := Deed{By: w.by, Owner: w.owner, Slice: w.slice, Any: VerbRun, At: now, Until: w.term.Until}
	if !w.replaces.IsZero() {
		d.Any = VerbRenew
	}
	return d
}

// endable finds the booking that a close names, if the caller may close it: the
// holder a hold or lease; a lease also the slice's owner and whom he lets.
func (l *Ledger) endable(id ID, in End) (*booking, *Refusal) {
	b := l.bookings[id]
	if b == nil || b.by == in.Caller {
		return l.own(id, in.Caller)
	}
	if !b.lease.IsZero() && b.owner == in.Caller {
		return b, nil
	}
	if len(in.Close) > 0 && bytes.Equal(in.Close, b.endBytes) {
		return b, nil // it was judged when it came, and is answered again as then
	}
	if b.lease.IsZero() || len(in.Authority) == 0 {
		return l.own(id, in.Caller)
	}
	if err := l.granted(in.Authority, Deed{By: in.Caller, Owner: b.owner, Slice: b.slice, Any: VerbStop, At: l.now}); err != nil {
		return nil, refuse(Local, ReasonInvalid, "%v", err)
	}
	return b, nil
}

func ownerOf(named, acts Principal) Principal {
	if named.IsZero() {
		return acts
	}
	return named
}

// foreign is the slice's owner where a lease must name him.
func (b *booking) foreign() Principal {
	if b.owner == b.by {
		return Principal{}
	}
	return b.owner
}

// role says who a close is from.
func (b *booking) role(p Principal) string {
	switch p {
	case b.by:
		return "its holder"
	case b.owner:
		return "the slice's owner"
	}
	return "one whom the slice's owner lets"
}
