// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"fmt"

	"croft/gossip"
	"croft/lease"
)

// notices tells the network that leases began and ended: what and until when,
// never whose. It is soft news: what is not sent when the daemon dies, or finds
// too many before it, is not sent at all.
type notices struct {
	d     *Daemon
	queue chan *gossip.Notice
	last  uint64 // sequence of the newest notice
}

func newNotices(d *Daemon) *notices {
	return &notices{d: d, queue: make(chan *gossip.Notice, maxNotices)}
}

// of takes a durable fact, in the loop. It does not wait.
func (n *notices) of(f lease.Fact) {
	if f.K != lease.FactActivated && f.K != lease.FactCommitted && f.K != lease.FactEnded {
		return
	}
	e, ok := n.d.core.Ledger().Lease(f.Claim)
	if !ok || len(e.Program) == 0 { // nothing has been active under it
		return
	}
	made := n.d.deps.Clock.Wall().Unix()
	notice := gossip.Notice{Node: n.d.deps.Key.Principal(), Made: made, Until: e.Term.Until, RSet: e.RSet}
	if f.K == lease.FactEnded {
		notice.Until = made
	}
	select {
	case n.queue <- &notice:
	default:
	}
}

// run sends what of puts into the queue.
func (n *notices) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case notice := <-n.queue:
			if err := n.send(ctx, *notice); err != nil {
				n.d.deps.Log.Debug("nobody was told of a lease", "err", err)
			}
		}
	}
}

// send numbers, signs and publishes a notice. Its sequence is the time in
// milliseconds, as that of offers is.
func (n *notices) send(ctx context.Context, notice gossip.Notice) error {
	n.last = max(n.last+1, uint64(n.d.deps.Clock.Wall().UnixMilli()))
	notice.Sequence = n.last
	sealed, err := gossip.SealNotice(notice, n.d.deps.Key)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, noticeLimit)
	defer cancel()
	if err := n.d.deps.Gossip.Tell(ctx, sealed); err != nil {
		return fmt.Errorf("publishing a notice: %w", err)
	}
	return nil
}
