// SPDX-License-Identifier: Apache-2.0

package net

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// The kernel has one limit of connection entries for all namespaces, and each
// namespace counts its own towards it (nf_conntrack_max; seen on Linux 6.18: it
// cannot be set in any but the first). Every flow that leaves a sliver has an
// entry in the host's namespace too. So the ceilings of all slivers together
// keep to a share of that limit, and the host's own connections find room
// whatever slivers do.

var conntrackMax = setting{"netfilter/nf_conntrack_max", ""}

// ceilings are the numbers of flows in force, by place.
type ceilings map[int]uint64

// grant is what of a wish a place can have beside the others, in a kernel with
// room for entries.
func (c ceilings) grant(place, places int, wish, entries uint64) uint64 {
	budget := entries / tableShare
	if wish == 0 {
		wish = min(defaultLive, budget/uint64(places))
	}
	for other, n := range c {
		if other != place {
			budget -= min(n, budget)
		}
	}
	return max(min(wish, budget), minLive)
}

// liveRules renders the table in which the flows of slivers are counted. It is
// apart from the other one because a rule that counts forgets when it is loaded
// again: a daemon that starts anew leaves the chains of places as they are.
func liveRules(p plan) string {
	var b strings.Builder
	w := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	var out, in []string
	w("table inet %s {", p.liveTable())
	for place := range p.places {
		out = append(out, fmt.Sprintf("%q : jump out%d", p.hostEnd(place), place))
		in = append(in, fmt.Sprintf("%q : jump in%d", p.hostEnd(place), place))
		for _, way := range liveWays {
			w("	counter %s%d { }", way, place)
			w("	chain %s%d { }", way, place)
		}
	}
	// After the chain that says what may pass at all.
	w("	chain across { type filter hook forward priority filter + 10; policy accept; }")
	w("}")
	w("flush chain inet %s across", p.liveTable())
	w("table inet %s {", p.liveTable())
	w("	chain across {")
	// Only what has no entry yet: the packets of a flow that nobody answers are
	// all new to conntrack.
	w("		ct status & confirmed != 0 accept")
	w("		iifname vmap { %s }", strings.Join(out, ", "))
	w("		oifname vmap { %s }", strings.Join(in, ", "))
	w("	}")
	w("}")
	return b.String()
}

// liveWays name the chains and counters of a place: flows that a sliver opens,
// and those that come to its public ports. They have a ceiling each, so that
// strangers do not use up a sliver's own.
var liveWays = [...]string{"out", "in"}

func (p plan) liveTable() string { return p.table() + "-live" }

func (p plan) live() *nftables.Table {
	return &nftables.Table{Name: p.liveTable(), Family: nftables.TableFamilyINet}
}

func liveChain(t *nftables.Table, way string, place int) *nftables.Chain {
	return &nftables.Chain{Table: t, Name: way + strconv.Itoa(place)}
}

// overRule drops what begins while more than limit flows of the chain are open.
func overRule(c *nftables.Chain, limit uint64) *nftables.Rule {
	const counterObject = 1 // NFT_OBJECT_COUNTER
	return &nftables.Rule{Table: c.Table, Chain: c, Exprs: []expr.Any{
		&expr.Connlimit{Count: uint32(min(limit, maxLive)), Flags: expr.NFT_CONNLIMIT_F_INV},
		&expr.Objref{Type: counterObject, Name: c.Name},
		&expr.Verdict{Kind: expr.VerdictDrop},
	}}
}

// paceRule drops TCP flows that begin faster than a part of limit a second. The
// kernel's count leaves out flows that are closed (TIME_WAIT, CLOSE), which have
// an entry for a second all the same: one packet each way makes one, such as an
// attempt that is refused. So what bounds them is how fast flows begin.
func paceRule(c *nftables.Chain, limit uint64) *nftables.Rule {
	const counterObject = 1 // NFT_OBJECT_COUNTER
	rate := max(limit/paceShare, minLive)
	return &nftables.Rule{Table: c.Table, Chain: c, Exprs: []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{unix.IPPROTO_TCP}},
		&expr.Limit{Type: expr.LimitTypePkts, Rate: rate, Unit: expr.LimitTimeSecond, Burst: uint32(rate), Over: true},
		&expr.Objref{Type: counterObject, Name: c.Name},
		&expr.Verdict{Kind: expr.VerdictDrop},
	}}
}

// limitOf reads a rule that overRule made.
func limitOf(r *nftables.Rule) uint64 {
	for _, e := range r.Exprs {
		if c, ok := e.(*expr.Connlimit); ok {
			return uint64(c.Count)
		}
	}
	return 0
}

// ladder is the limit of a place's first rule. The second one has the lease's
// own and forgets what it counted when that changes; the first stays as long as
// the lease keeps within a power of two, so that a sliver does not gather flows
// from change to change.
func ladder(limit uint64) uint64 { return 1 << bits.Len64(limit-1) }

// ceil puts a place's ceiling in force, or a share of it where the kernel's table
// has no room for all.
func (n *Network) ceil(place int, wish uint64) error {
	limit := n.live.grant(place, n.plan.places, wish, n.entries)
	if limit < wish {
		n.log.Warn("the kernel's connection table has no room for all of a sliver's flows: raise net.netfilter.nf_conntrack_max",
			"place", place, "leased", wish, "given", limit)
	}
	c, err := nftables.New(nftables.WithNetNSFd(int(n.space)))
	if err != nil {
		return fmt.Errorf("reaching nftables: %w", err)
	}
	for _, way := range liveWays {
		if err := stage(c, liveChain(n.plan.live(), way, place), limit); err != nil {
			return err
		}
	}
	if err := c.Flush(); err != nil {
		return fmt.Errorf("setting the ceiling of place %d: %w", place, err)
	}
	n.live[place] = limit
	return nil
}

// stage has c make the chain's rules say limit, touching nothing that says so.
func stage(c *nftables.Conn, chain *nftables.Chain, limit uint64) error {
	rules, err := c.GetRules(chain.Table, chain)
	if err != nil {
		return fmt.Errorf("reading chain %s: %w", chain.Name, err)
	}
	switch {
	case len(rules) == 3 && limitOf(rules[1]) == limit:
		return nil
	case len(rules) == 3 && limit <= limitOf(rules[0]):
		for _, r := range rules[1:] {
			if err := c.DelRule(r); err != nil {
				return err
			}
		}
	default:
		c.FlushChain(chain)
		c.AddRule(overRule(chain, ladder(limit)))
	}
	c.AddRule(overRule(chain, limit))
	c.AddRule(paceRule(chain, limit))
	return nil
}

// release opens a place's chains for whoever comes next: nobody, until ceil.
func (n *Network) release(place int) error {
	c, err := nftables.New(nftables.WithNetNSFd(int(n.space)))
	if err != nil {
		return fmt.Errorf("reaching nftables: %w", err)
	}
	for _, way := range liveWays {
		chain := liveChain(n.plan.live(), way, place)
		c.FlushChain(chain)
		if _, err := c.ResetObject(&nftables.CounterObj{Table: chain.Table, Name: chain.Name}); err != nil {
			return fmt.Errorf("counting place %d anew: %w", place, err)
		}
	}
	if err := n.vacate(c, place); err != nil {
		return err
	}
	if err := c.Flush(); err != nil {
		return fmt.Errorf("opening place %d: %w", place, err)
	}
	delete(n.live, place)
	return nil
}

// measure reads how many entries the kernel has room for, and says when that is
// little for the slivers that there may be.
func (n *Network) measure() error {
	if err := within(n.space, func() error {
		s, err := conntrackMax.read()
		if err == nil {
			n.entries, err = strconv.ParseUint(s, 10, 64)
		}
		return err
	}); err != nil {
		return fmt.Errorf("reading the size of the connection table: %w", err)
	}
	if each := n.entries / tableShare / uint64(n.plan.places); each < defaultLive {
		n.log.Warn("the kernel's connection table is small for so many slivers: raise net.netfilter.nf_conntrack_max, or lower places",
			"entries", n.entries, "places", n.plan.places, "flows of each, each way", max(each, minLive),
			"want", defaultLive*tableShare*n.plan.places)
	}
	return nil
}

// recall reads the ceilings that an earlier daemon left.
func (n *Network) recall() error {
	n.live = ceilings{}
	ports, err := n.sliverPorts()
	if err != nil {
		return err
	}
	c, err := nftables.New(nftables.WithNetNSFd(int(n.space)))
	if err != nil {
		return fmt.Errorf("reaching nftables: %w", err)
	}
	for _, p := range ports {
		n.tenants.put(p.place, p.name)
		rules, err := c.GetRules(n.plan.live(), liveChain(n.plan.live(), liveWays[0], p.place))
		if err != nil {
			return fmt.Errorf("reading the ceiling of place %d: %w", p.place, err)
		}
		if len(rules) == 3 {
			n.live[p.place] = limitOf(rules[1])
		}
	}
	return nil
}

// Counters are what the plumbing counts of a sliver, beside its guard.
type Counters struct {
	Place      int
	Sliver     string
	Limit      uint64 // flows that may be open at once, and as many in the other way
	Out, In    uint64 // entries now; those that are closing stay for some seconds
	RefusedOut uint64 // packets that would have begun a flow over the ceiling
	RefusedIn  uint64
	NoPort     uint64 // packets that would have begun a flow to a destination towards which all source ports are in use
	Questions  Questions
}

// count adds what is in the kernel to all, which is by place.
func (n *Network) count(all map[int]*Counters) error {
	c, err := nftables.New(nftables.WithNetNSFd(int(n.space)))
	if err != nil {
		return fmt.Errorf("reaching nftables: %w", err)
	}
	objects, err := c.GetObjects(n.plan.live())
	if err != nil {
		return fmt.Errorf("reading counters: %w", err)
	}
	for _, o := range objects {
		counter, ok := o.(*nftables.CounterObj)
		if !ok {
			continue
		}
		if place, ok := placeIn(counter.Name, liveWays[0]); ok && all[place] != nil {
			all[place].RefusedOut = counter.Packets
		} else if place, ok := placeIn(counter.Name, liveWays[1]); ok && all[place] != nil {
			all[place].RefusedIn = counter.Packets
		}
	}
	sources, err := c.GetObjects(&nftables.Table{Name: n.plan.sourcesTable(), Family: nftables.TableFamilyINet})
	if err != nil {
		return fmt.Errorf("reading counters: %w", err)
	}
	for _, o := range sources {
		if counter, ok := o.(*nftables.CounterObj); ok {
			if place, ok := placeIn(counter.Name, full); ok && all[place] != nil {
				all[place].NoPort = counter.Packets
			}
		}
	}
	return n.eachFlow(func(f flow) {
		if place, ok := n.plan.placeOfAddr(f.from); ok && all[place] != nil {
			all[place].Out++
		} else if place, ok := n.plan.placeOfAddr(f.answers); ok && all[place] != nil {
			all[place].In++
		}
	}, unix.AF_INET, unix.AF_INET6)
}

func placeIn(name, way string) (int, bool) {
	digits, ok := strings.CutPrefix(name, way)
	place, err := strconv.Atoi(digits)
	return place, ok && err == nil
}
