// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"fmt"
	"sync"

	slivernet "croft/ebpf/net"
	"croft/node/api"
)

// captures counts those that run: each has memory of the kernel's and reads
// every packet of its sliver.
type captures struct {
	mu  sync.Mutex
	all int
	of  map[sliceKey]int
}

// begin takes a place of a slice's and of the node's; who has it calls end.
func (c *captures) begin(slice sliceKey) (end func(), err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.of[slice] >= maxSliceCaptures:
		return nil, fmt.Errorf("%w: the slice has %d captures on this node", api.ErrBusy, c.of[slice])
	case c.all >= maxCaptures:
		return nil, fmt.Errorf("%w: the node has %d captures", api.ErrBusy, c.all)
	}
	c.all++
	c.of[slice]++
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.all--
		if c.of[slice]--; c.of[slice] == 0 {
			delete(c.of, slice)
		}
	}, nil
}

// taps gives the network's captures as the seam has them.
type taps struct{ *slivernet.Network }

func (t taps) Tap(ctx context.Context, sliver string, snap int, f slivernet.Filter) (Tap, error) {
	tap, err := t.Network.Tap(ctx, sliver, snap, f)
	if err != nil {
		return nil, err
	}
	return tap, nil
}
