// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"encoding/json"
	"time"

	"croft/lease"
	"croft/sandbox"
)

// collectEvery is how often blobs that no lease names any more are dropped.
const collectEvery = 10 * time.Minute

// collectLoop makes room among the blobs. What a lease in force runs stays, and
// so does what arrived lately: its lease may be on the way.
func (d *Daemon) collectLoop(ctx context.Context) {
	tick := time.NewTicker(collectEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := d.collectBlobs(ctx); err != nil && ctx.Err() == nil {
				d.deps.Log.Warn("making room among the blobs", "err", err)
			}
		}
	}
}

func (d *Daemon) collectBlobs(ctx context.Context) error {
	used, err := look(ctx, d, func(l *lease.Ledger) map[lease.Digest]bool {
		used := map[lease.Digest]bool{}
		for _, e := range l.Leases() {
			var p sandbox.Program
			if e.State.Live() && json.Unmarshal(e.Program, &p) == nil {
				used[p.Blob] = true
			}
		}
		return used
	})
	if err != nil {
		return err
	}
	return d.deps.Hosting.Blobs.GC(func(b lease.Digest) bool { return used[b] || d.updates.keeps(b) }, d.deps.Clock.Wall())
}
