// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"croft/lease"
)

// Config is what a site wants of its agent: see [Read].
type Config struct {
	Nodes  []lease.Principal `json:"nodes"` // of the own site
	People []Person          `json:"people"`
	Guests Person            `json:"guests"` // what anybody else may have; nothing if Most is zero
	Peers  []Peer            `json:"peers"`
}

// Person is somebody who may ask for tickets.
type Person struct {
	Name      string          `json:"name"`
	Principal lease.Principal `json:"key"`
	Most      lease.RSet      `json:"most"`    // at any instant, on all nodes together
	Longest   int64           `json:"longest"` // seconds of one ticket
}

// Peer is another site's agent.
type Peer struct {
	Name      string            `json:"name"`
	Principal lease.Principal   `json:"key"`
	Nodes     []lease.Principal `json:"nodes"`  // its nodes that give tickets to us
	Share     int               `json:"share"`  // per cent of each ticket on the own nodes that goes to it
	Degree    uint16            `json:"degree"` // of what goes to it, hundredths
	Term      int64             `json:"for"`    // seconds of what goes to it; renewed by half of that
}

// owner returns who a node belongs to: a peer, or the own site.
func (c *Config) owner(node lease.Principal) (name string, who lease.Principal) {
	for _, p := range c.Peers {
		for _, n := range p.Nodes {
			if n == node {
				return p.Name, p.Principal
			}
		}
	}
	return "own site", lease.Principal{}
}

// giver returns who gave a ticket: a peer's agent, a peer by its node, or the own
// site.
func (c *Config) giver(t *lease.Ticket) (string, lease.Principal) {
	for _, p := range c.Peers {
		if p.Principal == t.Issuer {
			return p.Name, p.Principal
		}
	}
	return c.owner(t.Node)
}

// person returns what somebody may have.
func (c *Config) person(who lease.Principal) Person {
	for _, p := range c.People {
		if p.Principal == who {
			return p
		}
	}
	guest := c.Guests
	guest.Name, guest.Principal = who.Short(), who
	return guest
}

// own reports whether a node is of the own site.
func (c *Config) own(node lease.Principal) bool {
	for _, n := range c.Nodes {
		if n == node {
			return true
		}
	}
	return false
}

// sources returns the nodes to ask, the own first.
func (c *Config) sources() []lease.Principal {
	all := append([]lease.Principal(nil), c.Nodes...)
	for _, p := range c.Peers {
		all = append(all, p.Nodes...)
	}
	return all
}
