// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"slices"

	"croft/lease"
	"croft/lease/sign"
)

// The keys of a file, by table.
var (
	topKeys   = []string{"principals", "refuse", "allow", "times", "capacity", "pool", "give", "follow"}
	ownerOnly = []string{"allow", "capacity", "give", "follow"}
	timeKeys  = []string{"hold", "activation", "grace", "quarantine"}
	poolKeys  = []string{"mechanism", "part", "only", "longest", "ahead", "each", "network", "idle_only",
		"notice", "max_weight", "borrow", "no_show", "exclusive"}
	giveKeys = []string{"to", "degree", "for"}
)

// Mechanisms by which pools lease.
const (
	Sharp     = lease.MechanismSharp
	Gang      = lease.MechanismGang
	Share     = lease.MechanismShare
	Calendar  = lease.MechanismCalendar
	Allocator = lease.MechanismAllocator
)

var mechanisms = []string{Sharp, Gang, Share, Calendar, Allocator}

func (r *reader) file(root *node) {
	if r.s.community {
		for _, key := range ownerOnly {
			if f := root.field(key); f != nil {
				f.used = true
				r.add(f.at, "leave it to the owners", "a policy for others says nothing of %s", key)
			}
		}
	}
	r.readPrincipals(root) // first: the rest refers to them
	for _, l := range []struct {
		key string
		to  *[]listed
	}{{"refuse", &r.s.refuse}, {"allow", &r.s.allow}} {
		if !r.s.community || l.key == "refuse" {
			*l.to, _, _ = r.list(root, l.key)
		}
	}
	r.times(root)
	r.readPools(root)
	if !r.s.community {
		if t := r.must(root, "capacity", aTable); t != nil {
			r.s.capacity = r.amounts(t, "[capacity]", false)
		}
		r.readGives(root)
		r.readFollows(root)
	}
	r.rest(root, "the policy", topKeys...)
}

func (r *reader) readPrincipals(root *node) {
	t := r.must(root, "principals", aTable)
	if t == nil {
		return
	}
	if len(t.fields) > MaxPrincipals {
		r.add(t.at, fmt.Sprintf("want at most %d", MaxPrincipals), "%d principals", len(t.fields))
		return
	}
	for _, f := range t.fields {
		if err := lease.CheckLabel(f.key); err != nil {
			r.add(f.at, "want up to 63 of a-z, 0-9 and inner dashes", "name %q", clipped(f.key))
			continue
		}
		if f.kind != aString {
			r.add(f.value, "want a key in quotes", "%s is %s", f.key, f.kind)
			continue
		}
		p, err := sign.ParsePrincipal(f.text)
		if err != nil || p.IsZero() {
			r.add(f.value, "want 52 characters of a-z and 2-7, or ssh-ed25519 …", "%s is no key", f.key)
			continue
		}
		r.s.principals[f.key], r.s.marks[f.key] = p, f.at
		r.s.names = append(r.s.names, f.key)
	}
}

func (r *reader) times(root *node) {
	t := r.must(root, "times", aTable)
	if t == nil {
		return
	}
	r.s.hold = r.span(t, "hold", minFuse, maxFuse)
	r.s.activation = r.span(t, "activation", minFuse, maxFuse)
	r.s.grace = r.span(t, "grace", 0, maxGrace)
	r.s.quarantine = r.span(t, "quarantine", 1, lease.MaxQuarantine)
	r.rest(t, "[times]", timeKeys...)
}

func (r *reader) readPools(root *node) {
	t := r.must(root, "pool", aTable)
	if t == nil {
		return
	}
	if len(t.fields) > MaxPools {
		r.add(t.at, fmt.Sprintf("want at most %d", MaxPools), "%d pools", len(t.fields))
		return
	}
	for _, f := range t.fields {
		where := "[pool." + clipped(f.key) + "]"
		if f.kind != aTable {
			r.add(f.value, "write "+where, "pool.%s is %s", clipped(f.key), f.kind)
			continue
		}
		if err := lease.CheckLabel(f.key); err != nil {
			r.add(f.at, "want up to 63 of a-z, 0-9 and inner dashes", "pool %q", clipped(f.key))
			continue
		}
		r.s.pools = append(r.s.pools, r.readPool(f, where))
	}
}

func (r *reader) readPool(t *node, where string) *poolSource {
	p := &poolSource{name: lease.Pool(t.key), at: t.at}
	if f := r.must(t, "part", aString); f != nil {
		share, err := percent(f.text)
		if err != nil {
			r.add(f.value, `want a share of the capacity such as "25%"`, "part = %q", clipped(f.text))
		} else {
			p.part = said[amount]{amount{share: share, isOf: true}, f.at, true}
		}
	}
	p.mechanism = r.word(t, "mechanism")
	if p.mechanism.ok && !slices.Contains(mechanisms, p.mechanism.v) {
		r.add(p.mechanism.at, "want sharp, gang, share, calendar or allocator", "mechanism %q", clipped(p.mechanism.v))
		p.mechanism.ok = false
	}
	if only, at, ok := r.list(t, "only"); ok {
		p.only = said[[]listed]{only, at, true}
	}
	p.longest = r.span(t, "longest", 1, lease.MaxTerm)
	p.ahead = r.span(t, "ahead", 1, lease.MaxTerm)
	if f := r.must(t, "each", aTable); f != nil {
		p.each = r.amounts(f, "each of "+where, true)
	}
	if f := r.must(t, "network", aTable); f != nil {
		p.network = r.amounts(f, "network of "+where, true)
	}
	p.idleOnly = r.flag(t, "idle_only")
	p.notice = r.span(t, "notice", 1, maxGrace)
	p.maxWeight = r.number(t, "max_weight", 1, lease.MaxWeight)
	p.borrow = r.flag(t, "borrow")
	p.noShow = r.span(t, "no_show", minFuse, day)
	p.alone = r.flag(t, "exclusive")
	p.amounts = r.amounts(t, where, false, poolKeys...)
	return p
}

func (r *reader) readGives(root *node) {
	for _, t := range r.tables(root, "give") {
		if len(r.s.gives) == MaxGives {
			r.add(t.at, fmt.Sprintf("want at most %d", MaxGives), "too many gives")
			return
		}
		g := &giveSource{at: t.at}
		if f := t.field("to"); f != nil {
			f.used = true
			if p, ok := r.principal(f); ok {
				g.to = said[listed]{p, f.at, true}
			}
		} else {
			r.add(t.at, "want to = a principal's name", "a give to nobody")
		}
		g.degree = r.number(t, "degree", lease.MinDegree, lease.MaxDegree)
		g.term = r.span(t, "for", MinGive, lease.MaxTerm)
		g.amounts = r.amounts(t, "[[give]]", false, giveKeys...)
		r.s.gives = append(r.s.gives, g)
	}
}

func (r *reader) readFollows(root *node) {
	for _, t := range r.tables(root, "follow") {
		if len(r.s.follow) == MaxFollowed {
			r.add(t.at, fmt.Sprintf("want at most %d", MaxFollowed), "too many policies to follow")
			return
		}
		file := r.word(t, "file")
		if !file.ok && t.field("file") == nil {
			r.add(t.at, `want file = "community.policy"`, "follow names no file")
		} else if file.ok && file.v == "" {
			r.add(file.at, "want a path", "file is empty")
		}
		by := t.field("by")
		if by == nil {
			r.add(t.at, "want by = who must have signed it", "follow trusts nobody")
		} else {
			by.used = true
			if p, ok := r.principal(by); ok {
				r.s.follow = append(r.s.follow, Followed{Mark: t.at, File: file.v, By: p.who, Name: p.name})
			}
		}
		r.rest(t, "[[follow]]", "file", "by")
	}
}
