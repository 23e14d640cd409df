// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"

	"croft/lease"
	"croft/node/api"
	"croft/sandbox"
)

// clocks is the node's time as its owner sees and sets it.
type clocks struct{ d *Daemon }

func (c clocks) Clock(ctx context.Context) (api.Clock, error) {
	return look(ctx, c.d, func(*lease.Ledger) api.Clock { return c.tell() })
}

// AcceptClock takes the wall clock's word: forwards, terms that have passed by it
// end now; backwards, the ledger's time stands still until the wall clock has
// caught up. The deadline of every sliver moves with it, those that the warden
// and the kernel hold too.
func (c clocks) AcceptClock(ctx context.Context) (api.Clock, error) {
	now, err := look(ctx, c.d, func(*lease.Ledger) api.Clock { c.d.time.accept(); return c.tell() })
	if err != nil {
		return api.Clock{}, err
	}
	c.d.deps.Log.Warn("the owner accepted the wall clock's time", "ledger", now.Ledger, "wall", now.Wall)
	return now, c.d.submit(ctx, sandbox.Retime{})
}

func (c clocks) tell() api.Clock {
	step, far := c.d.time.step()
	return api.Clock{Wall: c.d.deps.Clock.Wall(), Ledger: c.d.time.now(), Step: step.Seconds(), Barred: far}
}
