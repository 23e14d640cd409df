// SPDX-License-Identifier: Apache-2.0

package play

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"croft/node/client"
	"croft/sim/lab"
	"croft/sim/profile"
)

// player is a node with its daemon, which may be down.
type player struct {
	g       *game
	index   int
	name    string
	region  string
	address netip.Addr
	state   string // directory
	socket  string
	way     *client.Way

	// Of all below game.mu.
	isUp   bool
	left   bool // for good
	since  time.Duration
	was    time.Duration // how long it was up before
	target int           // offers that there were when it came; 0: it has nearly all
	told   bool          // others may know of it
}

// meet finds who there is.
func (g *game) meet(ctx context.Context) error {
	status, err := g.lab.Status(ctx)
	if err != nil {
		return err
	}
	p, err := profile.New(g.scn.Nodes.Profile, g.scn.Nodes.Count, g.scn.Seed)
	if err != nil {
		return err
	}
	for i, n := range status.Nodes {
		g.nodes = append(g.nodes, &player{g: g, index: i, name: n.Name, region: p.Place(i).Region, address: n.Address, state: n.State,
			socket: n.Socket, way: client.New(n.Socket)})
	}
	return nil
}

// rose notes that the daemon is up since then.
func (p *player) rose(since time.Duration) {
	p.g.mu.Lock()
	defer p.g.mu.Unlock()
	p.isUp, p.since, p.target = true, since, 0
	for _, o := range p.g.nodes {
		if o != p && o.isUp && o.told {
			p.target++
		}
	}
	p.g.ups()
}

// fell notes that it is down.
func (p *player) fell() {
	p.g.mu.Lock()
	defer p.g.mu.Unlock()
	if p.isUp {
		p.isUp, p.told = false, false
		p.was += p.g.now() - p.since
		p.g.ups()
	}
}

// ups counts who is up.
func (g *game) ups() {
	up := 0
	for _, p := range g.nodes {
		if p.isUp {
			up++
		}
	}
	g.figures.up.Set(g.now(), float64(up))
}

func (g *game) up() (up int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, p := range g.nodes {
		if p.isUp {
			up++
		}
	}
	return up
}

// start brings the daemon up, unless it is, or has left.
func (p *player) start(ctx context.Context) error {
	p.g.mu.Lock()
	idle := p.isUp || p.left
	p.g.mu.Unlock()
	if idle {
		return nil
	}
	since := p.g.now() // a newcomer's wait begins here
	if err := p.g.lab.Start(ctx, p.name); err != nil && !errors.Is(err, lab.ErrRunning) {
		return err
	}
	p.rose(since)
	return nil
}

// kill ends the daemon as a crash would.
func (p *player) kill(ctx context.Context) error {
	p.fell()
	if err := p.g.lab.Kill(ctx, p.name); err != nil && !errors.Is(err, lab.ErrNotRunning) {
		return err
	}
	return nil
}

// leave ends it politely, and for good.
func (p *player) leave(ctx context.Context) error {
	p.g.mu.Lock()
	p.left = true
	p.g.mu.Unlock()
	p.fell()
	return p.g.lab.Stop(ctx, p.name)
}

// change has the node tell of itself anew: it does when its owner's policy is read
// again.
func (p *player) change(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	if _, err := p.way.ReloadPolicy(ctx); err != nil {
		return fmt.Errorf("having %s tell of itself: %w", p.name, err)
	}
	return nil
}
