// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"

	"github.com/libp2p/go-libp2p/core/host"

	"croft/lease"
)

// Assemble makes a node of parts that somebody else made, as [Start] does of a
// machine's own: on a host, with what deps has of the world below the overlay. It
// fills in what is the overlay's: Discovery, Gossip, Rumours, Forks, Wire, Slices
// and OptOuts. The host stays the caller's, who closes it after Run or an error.
// Without Hosting why says what keeps the node from it.
func Assemble(ctx context.Context, cfg Config, deps *Deps, h host.Host, why ...string) (_ *Node, err error) {
	n := &Node{}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.open.close())
		}
	}()
	o := newOverlay(cfg, deps)
	o.host = h
	if err := n.join(ctx, cfg, deps, o); err != nil {
		return nil, err
	}
	if n.Daemon, err = New(cfg, *deps, why); err != nil {
		return nil, err
	}
	return n, nil
}

// Inspect shows f the books between two steps, when all that it sees is durable. It
// waits for f, which is to be quick and keep nothing. The error is of ctx, or
// [api.ErrStopping].
func (d *Daemon) Inspect(ctx context.Context, f func(*lease.Ledger)) error {
	_, err := look(ctx, d, func(l *lease.Ledger) struct{} { f(l); return struct{}{} })
	return err
}

// Announce has the node's offer go out again, at the pace of offers: there is
// something new to say.
func (d *Daemon) Announce() { d.offers.tell() }
