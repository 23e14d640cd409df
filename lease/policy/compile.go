// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"bytes"
	"cmp"
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"croft/lease"
)

// Compile makes one policy of the owner's text, which may be nil, and of those
// that it follows. For each setting the first text that makes it wins, the
// owner's before all; amounts of followed policies get what the owner's leave.
// Who is refused anywhere is refused, unless the owner allows it. The error is
// an [Errors]; a followed policy is never the cause of one.
func (b Base) Compile(own *Source, followed ...*Source) (Policy, error) {
	if own == nil {
		own = &Source{}
	}
	c := &compiler{base: b, texts: append([]*Source{own}, followed...), names: map[lease.Principal]string{}}
	for _, s := range c.texts {
		for _, name := range s.names {
			if p := s.principals[name]; c.names[p] == "" {
				c.names[p] = name
			}
		}
	}
	c.times()
	c.refused()
	c.capacity()
	c.gives()
	c.pools()
	c.promised()
	for _, name := range own.names {
		if !own.used[name] {
			c.out.Notes = append(c.out.Notes, Note{own.marks[name], "nothing in this file names " + name})
		}
	}
	if err := c.err(); err != nil {
		return Policy{}, err
	}
	return c.out, nil
}

type compiler struct {
	complaints
	base  Base
	texts []*Source // the owner's first
	names map[lease.Principal]string
	given lease.RSet // to all peers together
	out   Policy
}

// set notes a rule and its origin.
func (c *compiler) set(name, value string, from Mark) {
	c.out.Settings = append(c.out.Settings, Setting{name, value, from})
}

func (c *compiler) person(p lease.Principal) Person {
	if name := c.names[p]; name != "" {
		return Person{name, p}
	}
	return Person{p.Short(), p}
}

func (c *compiler) times() {
	for _, t := range []struct {
		name string
		def  int64
		of   func(*Source) said[int64]
		to   *int64
	}{
		{"hold", DefaultHold, func(s *Source) said[int64] { return s.hold }, &c.out.Hold},
		{"activation", DefaultActivation, func(s *Source) said[int64] { return s.activation }, &c.out.Activation},
		{"grace", DefaultGrace, func(s *Source) said[int64] { return s.grace }, &c.out.Grace},
		{"quarantine", DefaultQuarantine, func(s *Source) said[int64] { return s.quarantine }, &c.out.Quarantine},
	} {
		var v said[int64]
		for _, s := range c.texts {
			v.or(t.of(s))
		}
		*t.to = v.get(t.def)
		c.set("times."+t.name, FormatSpan(*t.to), v.at)
	}
}

func (c *compiler) refused() {
	allowed := map[lease.Principal]bool{}
	for _, l := range c.texts[0].allow {
		allowed[l.who] = true
	}
	seen := map[lease.Principal]bool{}
	for i, s := range c.texts {
		for _, l := range s.refuse {
			switch {
			case i == 0 && allowed[l.who]:
				c.add(l.at, "take it off one of the two", "%s is refused and allowed", l.name)
			case !allowed[l.who] && !seen[l.who]:
				seen[l.who] = true
				c.out.Refused = append(c.out.Refused, c.person(l.who))
				c.set("refuse", c.person(l.who).Name, l.at)
			}
		}
	}
	slices.SortFunc(c.out.Refused, func(a, b Person) int { return bytes.Compare(a.Principal[:], b.Principal[:]) })
	for _, s := range c.texts[:1] {
		for _, p := range s.pools {
			for _, l := range p.only.v {
				c.notRefused(l, seen)
			}
		}
		for _, g := range s.gives {
			if g.to.ok {
				c.notRefused(g.to.v, seen)
			}
		}
	}
}

func (c *compiler) notRefused(l listed, refused map[lease.Principal]bool) {
	if !refused[l.who] {
		return
	}
	for _, r := range c.texts[0].refuse {
		if r.who == l.who {
			c.add(l.at, "take it off one of the two", "%s is refused in line %d", l.name, r.at.Line)
			return
		}
	}
	c.out.Notes = append(c.out.Notes, Note{l.at, l.name + " is refused by a policy that you follow: name it in allow = […] to go against that"})
}

func (c *compiler) capacity() {
	c.out.Capacity = c.base.Capacity
	for i, a := range c.texts[0].capacity {
		r := lease.Resource(i)
		if !a.ok {
			continue
		}
		v := a.v.of(c.base.Measured[r])
		if has := c.base.Measured[r]; v > has && (r == lease.CPU || r == lease.Memory) {
			c.add(a.at, "at most "+r.Format(has), "%s: more than the machine has", r)
			continue
		}
		if a.v.isOf {
			v = whole(r, v)
		}
		c.out.Capacity[r] = min(v, lease.MaxAmount)
		c.set("capacity."+r.String(), r.Format(c.out.Capacity[r]), a.at)
	}
}

// named returns the pools that there are, those that are always there first, and
// those of the owner before those of others.
func (c *compiler) named() (names []lease.Pool) {
	for _, rule := range c.base.Pools {
		names = append(names, rule.Pool)
	}
	for _, s := range c.texts {
		for _, p := range s.pools {
			if !slices.Contains(names, p.name) && len(names) < MaxPools {
				names = append(names, p.name)
			}
		}
	}
	return names
}

func (c *compiler) pools() {
	names := c.named()
	capacities := c.share(names)
	for _, name := range names {
		p := c.pool(name)
		p.Capacity = capacities[name]
		if _, always := c.base.rule(name); p.Capacity.IsZero() && c.texts[0].pool(name) == nil && !always {
			continue // a followed policy's, for which the owner's own left nothing
		}
		c.out.Pools = append(c.out.Pools, p)
	}
}

// share divides the capacity among the pools: what the owner says, the gives
// included, then what followed policies say as far as there is more. The rest is
// divided among the pools that are always there and that nobody sized, in the
// proportions of the defaults; the commons gets no more of it than it would have
// if nobody said anything.
func (c *compiler) share(names []lease.Pool) map[lease.Pool]lease.RSet {
	out := map[lease.Pool]lease.RSet{}
	left := c.out.Capacity
	for i := range left {
		r := lease.Resource(i)
		settled := map[lease.Pool]bool{}
		var dust uint64     // what rounding shares down has left over, at most
		gives := c.given[r] // what pool sharp must have, unless the owner sizes it
		for n, s := range c.texts {
			if n == 1 && settled[lease.PoolSharp] {
				gives = 0
			}
			gives = min(gives, left[r])
			for _, p := range s.pools {
				a := p.amounts[r]
				a.or(p.part)
				if !a.ok || settled[p.name] || !slices.Contains(names, p.name) {
					continue
				}
				v := a.v.of(c.out.Capacity[r])
				if a.v.isOf {
					exact := v
					v = whole(r, v)
					if dust += exact - v; c.out.Capacity[r]%100_00*a.v.share%100_00 != 0 {
						dust++ // a fraction
					}
				}
				if v > left[r] && n == 0 {
					c.add(a.at, fmt.Sprintf("at most %s are left of %s", r.Format(left[r]), r.Format(c.out.Capacity[r])),
						"pool %s: %s is more than the other pools leave of the capacity", p.name, r)
				}
				v = min(v, left[r])
				switch {
				case n == 0:
				case p.name == lease.PoolSharp:
					v, gives = max(v, gives), 0
				default:
					v = min(v, left[r]-gives)
				}
				settled[p.name] = true
				left[r] -= v
				out[p.name] = with(out[p.name], r, v)
				c.set("pool."+string(p.name)+"."+r.String(), r.Format(v), a.at)
			}
		}
		if left[r] <= dust && c.given[r] == 0 { // too little to be a pool's
			left[r] = 0
		}
		c.divide(r, left[r], settled, out)
	}
	for _, p := range c.texts[0].pools {
		if _, always := c.base.rule(p.name); !always && !p.sized() {
			c.add(p.at, `want part = "25%", or amounts such as cpu = 2000`, "pool %s has no size", p.name)
		}
	}
	return out
}

// divide gives what is left of a resource to the default pools that nobody
// sized: first to tickets, for which there may be gives.
func (c *compiler) divide(r lease.Resource, left uint64, settled map[lease.Pool]bool, out map[lease.Pool]lease.RSet) {
	give := func(p lease.Pool, v uint64) {
		out[p] = with(out[p], r, v)
		left -= v
	}
	var open []lease.PoolRule // but pool sharp
	var sharp, parts uint64
	for _, rule := range c.base.Pools {
		switch {
		case settled[rule.Pool]:
		case rule.Pool == lease.PoolSharp:
			sharp = rule.Capacity[r]
			parts += sharp
		default:
			open = append(open, rule)
			parts += rule.Capacity[r]
		}
	}
	if plain := lease.DefaultPools(with(lease.RSet{}, r, left)); len(open)+1 == len(plain) && sharp > 0 {
		if i := slices.IndexFunc(plain, func(p lease.PoolRule) bool { return p.Pool == lease.PoolSharp }); plain[i].Capacity[r] >= c.given[r] {
			for _, rule := range plain {
				give(rule.Pool, rule.Capacity[r])
			}
			return
		}
	}
	if sharp > 0 {
		give(lease.PoolSharp, min(left, max(whole(r, portion(left, sharp, parts)), c.given[r])))
		parts -= sharp
	}
	rest := left
	for i, rule := range open {
		v := whole(r, portion(rest, rule.Capacity[r], parts))
		if i == len(open)-1 {
			v = left
		}
		if all := c.out.Capacity[r]; rule.Pool == lease.PoolCommons {
			v = min(v, all-all/2)
		}
		give(rule.Pool, v)
	}
	if sharp > 0 {
		give(lease.PoolSharp, out[lease.PoolSharp][r]+left)
	}
}

// grain is the unit in which shares of a resource are given: who reads a size
// reads a round one.
func grain(r lease.Resource) uint64 {
	switch r {
	case lease.Memory, lease.Disk, lease.IO, lease.EgressDaily:
		return 1 << 20
	case lease.EgressRate, lease.IngressRate:
		return 1000
	}
	return 1
}

// whole rounds a share down to whole units, unless it is less than one.
func whole(r lease.Resource, v uint64) uint64 {
	if g := grain(r); v >= g {
		return v - v%g
	}
	return v
}

// portion is v × part / all.
func portion(v, part, all uint64) uint64 {
	hi, lo := bits.Mul64(v, part)
	q, _ := bits.Div64(hi, lo, all)
	return q
}

func (p *poolSource) sized() bool {
	return p.part.ok || slices.ContainsFunc(p.amounts[:], func(a said[amount]) bool { return a.ok })
}

func with(s lease.RSet, r lease.Resource, v uint64) lease.RSet {
	s[r] = v
	return s
}

// pool joins what the texts say of one pool, but for its size.
func (c *compiler) pool(name lease.Pool) Pool {
	var all poolSource
	for _, s := range c.texts {
		p := s.pool(name)
		if p == nil {
			continue
		}
		all.mechanism.or(p.mechanism)
		all.only.or(p.only)
		all.longest.or(p.longest)
		all.ahead.or(p.ahead)
		all.idleOnly.or(p.idleOnly)
		all.notice.or(p.notice)
		all.maxWeight.or(p.maxWeight)
		all.borrow.or(p.borrow)
		all.noShow.or(p.noShow)
		all.alone.or(p.alone)
		for r := range all.each {
			all.each[r].or(p.each[r])
			all.network[r].or(p.network[r])
		}
	}
	def, _ := c.base.rule(name)
	p := Pool{Name: name, Mechanism: all.mechanism.get(usual(name)), IdleOnly: all.idleOnly.v}
	if p.Mechanism != usual(name) {
		def = lease.PoolRule{Pool: name} // it is another pool now
	}
	if own := c.texts[0].pool(name); own != nil {
		c.fitting(own, p.Mechanism)
	}
	key := func(s string) string { return "pool." + string(name) + "." + s }
	c.set(key("mechanism"), p.Mechanism, all.mechanism.at)
	for _, l := range all.only.v {
		if !slices.ContainsFunc(p.Only, func(o Person) bool { return o.Principal == l.who }) {
			p.Only = append(p.Only, c.person(l.who))
		}
	}
	if all.only.ok && p.Mechanism != Sharp {
		c.set(key("only"), people(p.Only), all.only.at)
		if len(p.Only) == 0 {
			c.add(all.only.at, "name somebody, or leave it away", "pool %s is kept for nobody", name)
		}
	}
	p.Longest = c.longest(&p, all.longest, def.MaxTerm)
	p.Ahead = all.ahead.get(def.Ahead)
	switch p.Mechanism {
	case Share:
		p.Notice, p.MaxWeight = all.notice.get(lease.DefaultNotice), all.maxWeight.get(cmp.Or(int64(def.MaxWeight), lease.MaxWeight))
		p.Borrow = all.borrow.get(true)
		c.set(key("borrow"), fmt.Sprint(p.Borrow), all.borrow.at)
		c.set(key("notice"), FormatSpan(p.Notice), all.notice.at)
		c.set(key("max_weight"), fmt.Sprint(p.MaxWeight), all.maxWeight.at)
	case Calendar:
		p.NoShow, p.Exclusive, p.Ahead = all.noShow.get(lease.DefaultNoShow), all.alone.v, all.ahead.get(cmp.Or(def.Ahead, defaultAhead))
		c.set(key("no_show"), FormatSpan(p.NoShow), all.noShow.at)
		c.set(key("exclusive"), fmt.Sprint(p.Exclusive), all.alone.at)
	}
	if p.IdleOnly {
		p.Notice = all.notice.get(lease.DefaultNotice)
		c.set(key("idle_only"), "true", all.idleOnly.at)
	}
	if p.Mechanism == Sharp {
		return p
	}
	c.set(key("longest"), FormatSpan(p.Longest), all.longest.at)
	if p.Ahead != 0 {
		c.set(key("ahead"), FormatSpan(p.Ahead), all.ahead.at)
	}
	each := def.PerPrincipal
	if name == lease.PoolCommons {
		each = c.base.Each
	}
	p.Each = c.limits(key("each"), all.each, each)
	p.Network = c.limits(key("network"), all.network, lease.RSet{})
	return p
}

func (c *compiler) longest(p *Pool, v said[int64], def int64) int64 {
	switch {
	case p.Mechanism == Sharp:
		return 0
	case def != 0:
		return v.get(def)
	case len(p.Only) > 0 || p.Mechanism == Calendar:
		return v.get(defaultOwnLongest)
	}
	return v.get(defaultLongest)
}

// limits resolves what one may have: shares are of the capacity.
func (c *compiler) limits(key string, said amounts, def lease.RSet) (out lease.RSet) {
	for i, a := range said {
		r := lease.Resource(i)
		switch {
		case a.ok:
			out[r] = a.v.of(c.out.Capacity[r])
			value := "any"
			if out[r] != 0 {
				value = r.Format(out[r])
			}
			if a.v.isOf && out[r] == 0 {
				out[r], value = 1, r.Format(1) // a share of so little that none is left must not mean no limit
			}
			c.set(key+"."+r.String(), value, a.at)
		case def[r] != 0:
			out[r] = def[r]
			c.set(key+"."+r.String(), r.Format(out[r]), Mark{})
		}
	}
	return out
}

// usual is the mechanism of a pool that names none.
func usual(name lease.Pool) string {
	switch name {
	case lease.PoolSharp:
		return Sharp
	case lease.PoolShare:
		return Share
	case lease.PoolCalendar:
		return Calendar
	}
	return Gang
}

// fitting complains of what a pool's mechanism has no use for.
func (c *compiler) fitting(p *poolSource, mechanism string) {
	if (p.name == lease.PoolSharp) != (mechanism == Sharp) {
		c.add(cmp.Or(p.mechanism.at, p.at), "tickets are redeemed from pool sharp, and nothing else is", "pool %s is %s", p.name, mechanism)
		return
	}
	for _, k := range []struct {
		key  string
		at   Mark
		ok   bool
		uses []string
	}{
		{"only", p.only.at, p.only.ok, []string{Gang, Share, Calendar, Allocator}},
		{"longest", p.longest.at, p.longest.ok, []string{Gang, Share, Calendar, Allocator}},
		{"ahead", p.ahead.at, p.ahead.ok, []string{Gang, Share, Calendar, Allocator}},
		{"idle_only", p.idleOnly.at, p.idleOnly.ok, []string{Gang}},
		{"max_weight", p.maxWeight.at, p.maxWeight.ok, []string{Share}},
		{"borrow", p.borrow.at, p.borrow.ok, []string{Share}},
		{"no_show", p.noShow.at, p.noShow.ok, []string{Calendar}},
		{"exclusive", p.alone.at, p.alone.ok, []string{Calendar}},
	} {
		if k.ok && !slices.Contains(k.uses, mechanism) {
			c.add(k.at, "it is for mechanism "+strings.Join(k.uses, ", "), "pool %s is %s and has no use for %s", p.name, mechanism, k.key)
		}
	}
	if p.notice.ok && mechanism != Share && !p.idleOnly.v {
		c.add(p.notice.at, "it is for mechanism share, and with idle_only", "pool %s is %s and has no use for notice", p.name, mechanism)
	}
	for _, l := range []amounts{p.each, p.network} {
		for _, a := range l {
			if a.ok && mechanism == Sharp {
				c.add(a.at, "what a ticket's holder gets is in the ticket", "pool sharp has no use for limits")
				return
			}
		}
	}
}

// gives resolves what peers always have.
func (c *compiler) gives() {
	count := map[lease.Principal]int{}
	for _, g := range c.texts[0].gives {
		if !g.to.ok {
			continue
		}
		give := Give{To: c.person(g.to.v.who), Degree: uint16(g.degree.get(lease.MinDegree)), Term: g.term.get(defaultGive), At: g.at}
		for i, a := range g.amounts {
			if r := lease.Resource(i); a.ok {
				give.RSet[r] = a.v.of(c.out.Capacity[r])
			}
		}
		give.Number = count[give.To.Principal]
		count[give.To.Principal]++
		if give.RSet.IsZero() {
			c.add(g.at, "want amounts such as cpu = 4000", "a give of nothing to %s", give.To.Name)
			continue
		}
		c.given = c.given.Plus(give.RSet)
		c.out.Gives = append(c.out.Gives, give)
		c.set("give."+give.To.Name, fmt.Sprintf("%s at degree %d for %s", give.RSet, give.Degree, FormatSpan(give.Term)), g.at)
	}
}

// promised complains of the first give that pool sharp has no room for.
func (c *compiler) promised() {
	sharp, _ := c.out.Pool(lease.PoolSharp)
	var sum lease.RSet
	for i, give := range c.out.Gives {
		sum = sum.Plus(give.RSet)
		if r, over := sum.Exceeds(sharp.Capacity); over {
			at := c.out.Gives[i].At
			for _, g := range c.texts[0].gives {
				if g.at == at && g.amounts[r].ok {
					at = g.amounts[r].at
				}
			}
			c.add(at, "pool sharp has "+r.Format(sharp.Capacity[r]), "%s: the gives come to %s", r, r.Format(sum[r]))
			return
		}
	}
}

func people(list []Person) string {
	names := make([]string, len(list))
	for i, p := range list {
		names[i] = p.Name
	}
	return strings.Join(names, ", ")
}
