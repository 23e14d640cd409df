// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"croft/ebpf/audit"
	"croft/ebpf/optout"
	"croft/lease"
	"croft/node/api"
)

// asker is who asks whose a packet was, and what he may be told.
type asker struct {
	network netip.Prefix // whose allowance the question takes; zero: that of all who come through other nodes
	owner   bool         // of the node: he may be told everything, and needs no allowance
	holder  bool         // of the destination, as was shown: he may be told who sent to it
	own     func(slice string) bool
	unshown string // why what was shown does not count
}

// may reports whether the asker may be told of a slice.
func (k asker) may(slice string) bool {
	return k.owner || k.holder || k.own != nil && k.own(slice)
}

// asker judges what one who asks over a channel shows. Who shows that he holds an
// address asks on the allowance of its network, not on that of his way here.
func (a audits) asker(ctx context.Context, by api.Caller, shown string, dst netip.Addr) (asker, error) {
	k := asker{network: api.Source(ctx)}
	r, err := a.d.rights(ctx, by)
	if err != nil {
		return k, err
	}
	now := a.d.deps.Clock.Wall()
	k.own = func(slice string) bool { return r.reads(slice, a.d.time.now().Unix()) }
	if shown == "" {
		return k, nil
	}
	if out := a.d.deps.OptOuts; out != nil && out.shared(dst, by.Principal) {
		k.unshown = fmt.Sprintf("%s: %s", dst, sharedAddr)
		return k, nil
	}
	if !a.shown.take(now, api.Source(ctx)) {
		return k, fmt.Errorf("%w: your network has shown this node much that does not count; ask again in a minute", api.ErrBusy)
	}
	switch err := a.holds(by.Principal, shown, dst, now); {
	case errors.Is(err, audit.ErrNotShown):
		k.unshown = err.Error()
	case err != nil:
		return k, err
	default:
		k.holder, k.network = true, lease.Network(dst)
		if a.asked.may(now, k.network) { // else it is refused, and the work was for nothing
			a.shown.charge(now, api.Source(ctx), -1)
		}
	}
	return k, nil
}

// holds judges sightings. Only those of nodes that are known here are verified: else
// whoever makes keys has signatures of theirs checked.
func (a audits) holds(who lease.Principal, shown string, dst netip.Addr, now time.Time) error {
	self, out := a.d.deps.Key.Principal(), a.d.deps.OptOuts
	sightings, err := audit.ParseSightingsOf(shown, func(p lease.Principal) bool { return p == self || out != nil && out.knows(p) })
	if err != nil {
		return fmt.Errorf("%w: %w", api.ErrBadRequest, err)
	}
	days := map[int64][]optout.Node{} // each is chosen among all nodes that are known
	return audit.Sighted(self, who, dst, now, sightings, func(at int64) []optout.Node {
		if out == nil {
			return nil
		}
		day := optout.Day(at)
		if _, ok := days[day]; !ok {
			days[day] = out.choice(dst, time.Unix(at, 0))
		}
		return days[day]
	})
}

// reads reports whether who asks may read the record of a slice, label@owner: his
// own, or one whose owner lets him.
func (r rights) reads(slice string, now int64) bool {
	label, owner, _ := strings.Cut(slice, "@")
	if owner == r.who.String() {
		return true
	}
	return r.shown != nil && owner == r.shown.Issuer.String() &&
		r.shown.Allows(lease.Deed{By: r.who, Owner: r.shown.Issuer, Slice: label, Any: lease.VerbAudit, At: now}) == nil
}
