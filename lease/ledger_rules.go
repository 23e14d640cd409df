// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
)

// Rules replaces the rules by which wishes are judged from now on. What was
// granted stays as it was granted, and what was promised is kept: a capacity
// that is set aside binds pool sharp to its end although the pool is smaller
// now, and no other pool grants anew what a pool that shrank still owes.
//
// Rules are no facts: whoever rebuilds a ledger configures it with those that
// are in force.
type Rules struct {
	Pools        []PoolRule
	Refused      []Principal // get nothing new
	HoldFuse     int64       // seconds; 0: as before
	ActivateFuse int64       // seconds; 0: as before
	Grace        uint32      // seconds
	Quarantine   int64       // seconds; 0: as before
}

func (Rules) input() {}

// String prints the pools as JSON: they hold nothing that is secret or long.
func (in Rules) String() string {
	pools, err := json.Marshal(in.Pools)
	if err != nil {
		panic(err) // a rule holds nothing that cannot be encoded
	}
	refused := make([]string, len(in.Refused))
	for i, p := range in.Refused {
		refused[i] = p.String()
	}
	return fmt.Sprintf("rules pools=%q refused=%s hold=%d activate=%d grace=%d quarantine=%d",
		pools, strings.Join(refused, ","), in.HoldFuse, in.ActivateFuse, in.Grace, in.Quarantine)
}

func (p *fieldReader) rules() (in Rules) {
	dec := json.NewDecoder(strings.NewReader(p.take("pools")))
	dec.DisallowUnknownFields()
	p.fail(dec.Decode(&in.Pools))
	if _, err := dec.Token(); p.err == nil && err != io.EOF {
		p.fail(fmt.Errorf("pools: more than one list: %w", ErrSyntax))
	}
	for name := range strings.SplitSeq(p.take("refused"), ",") {
		if name == "" {
			continue
		}
		who, err := ParsePrincipal(name)
		p.fail(err)
		in.Refused = append(in.Refused, who)
	}
	in.HoldFuse, in.ActivateFuse = int64(p.number("hold", 63)), int64(p.number("activate", 63))
	in.Grace, in.Quarantine = uint32(p.number("grace", 32)), int64(p.number("quarantine", 63))
	return in
}

// rules puts new rules in force.
func (l *Ledger) rules(in Rules) {
	if in.HoldFuse > 0 {
		l.cfg.HoldFuse = in.HoldFuse
	}
	if in.ActivateFuse > 0 {
		l.cfg.ActivateFuse = in.ActivateFuse
	}
	if in.Quarantine > 0 {
		l.cfg.Quarantine = min(in.Quarantine, MaxQuarantine)
	}
	l.cfg.Grace, l.cfg.Pools, l.cfg.Refused = in.Grace, slices.Clone(in.Pools), slices.Clone(in.Refused)
	l.settleRules()
	l.stale = true
}

// settleRules makes the pools what the configuration says.
func (l *Ledger) settleRules() {
	l.refusals = make(map[Principal]bool, len(l.cfg.Refused))
	for _, p := range l.cfg.Refused {
		l.refusals[p] = true
	}
	for p, book := range l.pools {
		book.PoolRule, book.gone = PoolRule{Pool: p}.bounded(), true
	}
	for _, rule := range l.cfg.Pools {
		book := l.pool(rule.Pool)
		book.PoolRule, book.gone = rule.bounded(), false
	}
	ahead := Term{l.now, maxUnix}
	l.owing = false
	for _, book := range l.pools {
		l.owing = l.owing || !book.owed(ahead).Within(book.Capacity)
	}
	l.rejoin()
}

// lend counts a booking that was granted out of what tickets had not drawn. With
// the first of them a pool joins those that are looked at together, and leaves
// them with the last, if its rule has ceased to let it borrow.
func (l *Ledger) lend(b *booking, by int) {
	if !b.lentOut() {
		return
	}
	pool := l.pool(b.pool)
	was := pool.joint()
	if pool.lent += by; pool.joint() != was {
		l.rejoin()
	}
}

// lentOut reports whether b was granted while its pool borrowed.
func (b *booking) lentOut() bool { return b.allotted != nil && b.allotted.Lent }

// rejoin makes the joint calendar what it is under the rules as they are now: a
// pool may have begun to borrow, or ceased to and got back what it had lent.
func (l *Ledger) rejoin() {
	for _, b := range l.byAge() {
		joint := l.pool(b.pool).joint()
		if joint == b.joint || len(b.charges) == 0 {
			continue
		}
		for _, s := range b.charges {
			if joint {
				l.joint.add(s)
			} else {
				l.joint.remove(s)
			}
		}
		b.joint = joint
	}
}

// owed is what a pool must be able to give in a term: what it has granted, and
// what it has promised.
func (b *poolBook) owed(t Term) RSet { return b.load.peak(t).Max(b.aside.peak(t)) }

// overdue is what a pool owes in a term beyond its size.
func (b *poolBook) overdue(t Term) RSet { return b.owed(t).Minus(b.Capacity) }

// overhang is what other pools owe in a term beyond their size, since they were
// made smaller: p cannot grant it too. Where pool sharp lends, it and those who
// borrow are as one: what is lent is no debt to anybody but each other.
func (l *Ledger) overhang(p Pool, t Term) (over RSet) {
	if !l.owing {
		return over
	}
	outside := !l.pool(p).joint()
	var told RSet
	for name, book := range l.pools {
		debt := book.overdue(t)
		if book.joint() {
			told = told.Plus(book.Capacity)
			for r := range debt {
				if !elastic(Resource(r)) {
					debt[r] = 0 // looked at together
				}
			}
		}
		if name != p {
			over = over.Plus(debt)
		}
	}
	if outside {
		debt := l.joint.peak(t).Max(l.pool(PoolSharp).aside.peak(t)).Minus(told)
		for r := range debt {
			if !elastic(Resource(r)) {
				over[r] += debt[r]
			}
		}
	}
	return over
}

// unwelcome refuses whom the owner refuses, and whoever a pool is not kept for.
func (l *Ledger) unwelcome(w *want, rule *poolBook) *Refusal {
	switch {
	case l.refusals[w.by]:
		return refuse(Local, ReasonPolicy, "this node's owner refuses %s", w.by.Short())
	case len(rule.Only) > 0 && !slices.Contains(rule.Only, w.by):
		return refuse(Local, ReasonPolicy, "pool %s is kept for others", w.pool)
	}
	return nil
}

// A network is one that wishes were seen to come from, and what it has of each
// pool.
type networkKey struct {
	source netip.Prefix
	pool   Pool
}

// crowded refuses what would give one source network more of a pool than its
// rule allows. A wish whose source is not known counts for none.
func (l *Ledger) crowded(w *want, s span) *Refusal {
	rule := l.pool(w.pool)
	if rule.PerNetwork.IsZero() || !w.source.IsValid() {
		return nil
	}
	var has RSet
	if c := l.networks[networkKey{w.source, w.pool}]; c != nil {
		has = c.peak(s.Term)
	}
	for r, limit := range rule.PerNetwork {
		if limit != 0 && has[r]+s.rset[r] > limit {
			res := Resource(r)
			return refuse(Local, ReasonPolicy, "%s: one source network gets %s from pool %s, %s has %s and %s more are wanted", res,
				res.Format(limit), w.pool, w.source, res.Format(has[r]), res.Format(s.rset[r]))
		}
	}
	return nil
}

// tally books b's charges with its source network, or takes them back.
func (l *Ledger) tally(b *booking, spans []span, back bool) {
	if !b.source.IsValid() {
		return
	}
	key := networkKey{b.source, b.pool}
	c := l.networks[key]
	if c == nil {
		c = new(calendar)
		l.networks[key] = c
	}
	for _, s := range spans {
		if back {
			c.remove(s)
		} else {
			c.add(s)
		}
	}
	if c.empty() {
		delete(l.networks, key)
	}
}

// sourceBytes is a source network as a fact keeps it.
func sourceBytes(p netip.Prefix) []byte {
	if !p.IsValid() {
		return nil
	}
	b, err := p.MarshalBinary()
	if err != nil {
		panic(err) // it has no zone
	}
	return b
}

func parseSource(b []byte) (p netip.Prefix, err error) {
	if len(b) == 0 {
		return p, nil
	}
	if err := p.UnmarshalBinary(b); err != nil {
		return p, fmt.Errorf("source network: %w: %w", ErrFact, err)
	}
	return p, nil
}

// Issued is one ticket that the node gave, by the request for it.
type Issued struct {
	Request Request
	RSet    RSet
	Until   int64 // the ticket's end, Unix seconds
	Reserve int64 // the end of the capacity that it is out of
}

// Issued returns the tickets that the node gave and that are still kept, by
// their requests.
func (l *Ledger) Issued() []Issued {
	list := make([]Issued, 0, l.given)
	for _, k := range l.claims {
		if k.up != nil && k.up.up == nil {
			list = append(list, Issued{k.request, k.rset, k.term.Until, k.up.term.Until})
		}
	}
	slices.SortFunc(list, func(a, b Issued) int { return bytes.Compare(a.Request[:], b.Request[:]) })
	return list
}

// Network is the network of an address that counts as one source: its /24, or
// its /56, which is what one customer of a provider has.
func Network(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := 56
	if a.Is4() {
		bits = 24
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // no address
	}
	return p
}
