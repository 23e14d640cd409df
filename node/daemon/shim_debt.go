// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"time"

	"croft/ebpf"
	"croft/ebpf/pace"
)

// debt is what a sliver owes for topics: bytes. What it paid for nothing is less than
// none. Whoever holds its one place collects it.
type debt struct {
	in, out int
	at      time.Time // looked at last
	place   chan struct{}
}

func (d *debt) release() { <-d.place }

// debtOf is called with mu held.
func (c *airtime) debtOf(sliver string, now time.Time) *debt {
	d := c.debts[sliver]
	if d == nil {
		for s, d := range c.debts {
			if now.Sub(d.at) > debtKept || d.in == 0 && d.out == 0 && len(d.place) == 0 && !c.hears(s) {
				delete(c.debts, s)
			}
		}
		d = &debt{place: make(chan struct{}, 1)}
		c.debts[sliver] = d
	}
	d.at = now
	return d
}

// owe adds bytes that come and go out for a sliver, or takes some off.
func (c *airtime) owe(sliver string, in, out int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	d := c.debtOf(sliver, time.Now())
	d.in += in
	d.out += out
}

// collect takes what a sliver hears into account, and returns what it owes, to release.
func (c *airtime) collect(ctx context.Context, u user) (*debt, error) {
	for {
		c.mu.Lock()
		for name, t := range c.topics {
			if t.heardBy(u) {
				c.share(name, t)
			}
		}
		d := c.debtOf(u.sliver, time.Now())
		c.mu.Unlock()
		select {
		case d.place <- struct{}{}:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		c.mu.Lock()
		same := c.debts[u.sliver] == d
		c.mu.Unlock()
		if same {
			return d, nil
		}
		d.release() // it was forgotten meanwhile
	}
}

// next is a piece of what is owed; n is 0 where nothing is.
func (c *airtime) next(d *debt) (way ebpf.Direction, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if d.in > 0 {
		return ebpf.Ingress, min(d.in, pace.Piece)
	}
	return ebpf.Egress, max(0, min(d.out, pace.Piece))
}

// paid takes off what was paid.
func (c *airtime) paid(d *debt, way ebpf.Direction, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if way == ebpf.Ingress {
		d.in -= n
	} else {
		d.out -= n
	}
}
