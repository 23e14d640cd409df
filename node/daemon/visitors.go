// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"net"
	"net/netip"
	"sync"
	"time"

	"croft/lease"
)

// visitors bounds how often one network asks at the courtesy page.
type visitors struct {
	wall func() time.Time

	mu   sync.Mutex
	left map[netip.Prefix]visits
}

// visits are the requests that a network has left, and since when.
type visits struct {
	left int
	at   time.Time
}

func newVisitors(wall func() time.Time) *visitors {
	return &visitors{wall: wall, left: map[netip.Prefix]visits{}}
}

// may reports whether one more request is served. When all that are remembered
// are busy, a newcomer is not.
func (v *visitors) may(a netip.Addr) bool {
	network, now := lease.Network(a), v.wall()
	v.mu.Lock()
	defer v.mu.Unlock()
	mine, ok := v.left[network]
	if !ok {
		if len(v.left) >= maxVisitors {
			v.prune(now)
		}
		if len(v.left) >= maxVisitors {
			return false
		}
		mine = visits{visitBurst, now}
	}
	mine = mine.refilled(now)
	if mine.left == 0 {
		return false
	}
	mine.left--
	v.left[network] = mine
	return true
}

func (v visits) refilled(now time.Time) visits {
	if n := now.Sub(v.at) / visitEvery; n > 0 {
		v.left, v.at = min(visitBurst, v.left+int(min(n, visitBurst))), v.at.Add(n*visitEvery)
	}
	return v
}

// prune forgets those that have all their requests back.
func (v *visitors) prune(now time.Time) {
	for network, mine := range v.left {
		if mine.refilled(now).left == visitBurst {
			delete(v.left, network)
		}
	}
}

// crowded is a listener that takes so many connections at once, and so many of one
// network; it closes what is over.
type crowded struct {
	net.Listener

	mu   sync.Mutex
	all  int
	each map[netip.Prefix]int
}

func newCrowded(l net.Listener) *crowded {
	return &crowded{Listener: l, each: map[netip.Prefix]int{}}
}

func (c *crowded) Accept() (net.Conn, error) {
	for {
		conn, err := c.Listener.Accept()
		if err != nil {
			return nil, err
		}
		at, _ := netip.ParseAddrPort(conn.RemoteAddr().String())
		network := lease.Network(at.Addr())
		if c.enter(network) {
			return &counted{Conn: conn, leave: sync.OnceFunc(func() { c.leave(network) })}, nil
		}
		conn.Close()
	}
}

func (c *crowded) enter(n netip.Prefix) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all >= maxVisits || c.each[n] >= maxVisitsEach {
		return false
	}
	c.all++
	c.each[n]++
	return true
}

func (c *crowded) leave(n netip.Prefix) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all--
	if c.each[n]--; c.each[n] == 0 {
		delete(c.each, n)
	}
}

// counted is a connection that makes room when it is closed.
type counted struct {
	net.Conn
	leave func()
}

func (c *counted) Close() error {
	c.leave()
	return c.Conn.Close()
}
