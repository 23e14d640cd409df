// SPDX-License-Identifier: Apache-2.0

package lease

import "fmt"

// The checks below judge one statement by itself: its kind, its ranges, its
// bounds. They are the same when it is sealed and when it is opened.

func (c *Capacity) check() error {
	return first(
		kind(c.K, KindCapacity),
		principal("node", c.Node),
		field(c.Tranche < MaxTranche, "tranche %d, limit %d", c.Tranche, MaxTranche-1),
		rset(c.RSet), term(c.Term()), degree(c.Degree), fanOut(c.FanOut),
		field(c.Lead <= MaxTerm, "lead %d s, limit %d", c.Lead, int64(MaxTerm)))
}

func (t *Ticket) check() error {
	return first(
		kind(t.K, KindTicket),
		principal("issuer", t.Issuer), principal("node", t.Node), principal("holder", t.Holder),
		field(!t.Parent.IsZero(), "no parent"),
		slot(t.Slot), rset(t.RSet), term(t.Term()), degree(t.Degree), fanOut(t.FanOut))
}

func (r *Redeem) check() error {
	return first(
		kind(r.K, KindRedeem),
		principal("issuer", r.Issuer), principal("node", r.Node),
		field(!r.Parent.IsZero(), "no parent"),
		slot(r.Slot), rset(r.RSet), term(r.Term()), CheckLabel(r.Slice), ports(r.Ports, r.RSet, false), owner(r.Owner, r.Issuer), fanOut(r.FanOut))
}

func (a *Ask) check() error {
	return first(
		kind(a.K, KindAsk),
		principal("issuer", a.Issuer), principal("node", a.Node),
		rset(a.RSet), term(a.Term()), CheckLabel(a.Slice), pool(a.Pool), ports(a.Ports, a.RSet, false),
		owner(a.Owner, a.Issuer), class(a.Class, a.Weight), alone(a.Alone), fanOut(a.FanOut), reason(a.Bid))
}

func (h *Hold) check() error {
	return first(
		kind(h.K, KindHold),
		principal("node", h.Node), principal("holder", h.Holder),
		field(!h.Parent.IsZero(), "no parent"),
		rset(h.RSet), term(h.Term()),
		field(h.CommitBy > 0 && h.CommitBy <= h.Until, "commit_by %d outside the term", h.CommitBy))
}

func (l *Lease) check() error {
	return first(
		kind(l.K, KindLease),
		principal("node", l.Node), principal("holder", l.Holder),
		field(!l.Parent.IsZero(), "no parent"),
		rset(l.RSet), term(l.Term()), CheckLabel(l.Slice), pool(l.Pool), ports(l.Ports, l.RSet, true),
		field(l.ActivateBy >= 0 && l.ActivateBy <= l.Until, "activate_by %d outside the term", l.ActivateBy),
		runtime(l.Runtime),
		owner(l.Owner, l.Holder), class(l.Class, l.Weight), alone(l.Alone), mechanism(l.Mechanism), fanOut(l.FanOut),
		field(l.Grace <= MaxTerm, "grace %d s, limit %d", l.Grace, int64(MaxTerm)),
		field(l.BurstOut <= MaxAmount && l.BurstIn <= MaxAmount, "burst %d out, %d in, limit %d", l.BurstOut, l.BurstIn, uint64(MaxAmount)))
}

func (c *Close) check() error {
	return first(
		kind(c.K, KindClose),
		principal("issuer", c.Issuer), principal("node", c.Node),
		field(!c.Claim.IsZero(), "names no claim"), instant(c.At), reason(c.Reason))
}

func (r *Revoke) check() error {
	return first(
		kind(r.K, KindRevoke), principal("node", r.Node),
		field(!r.Claim.IsZero(), "names no claim"), instant(r.At), instant(r.Said), reason(r.Reason))
}

func (r *Reject) check() error {
	return first(
		kind(r.K, KindReject), principal("node", r.Node),
		field(!r.Parent.IsZero(), "answers nothing"), instant(r.At), reason(r.Text),
		field(r.Sort >= Exhausted && r.Sort <= Local, "sort %d", r.Sort),
		field(int(r.Reason) < len(reasonNames), "reason %d", r.Reason),
		field(int(r.Lacks) <= NumResources, "resource %d", int(r.Lacks)-1),
		field(r.Instant >= 0 && r.Instant < maxUnix, "instant %d", r.Instant))
}

func (g *Grant) check() error {
	err := first(
		kind(g.K, KindGrant), principal("issuer", g.Issuer), principal("holder", g.Holder),
		field(g.Holder != g.Issuer, "to the issuer itself"), term(g.Term()),
		field(g.Verbs != 0 && g.Verbs&^AllVerbs == 0, "verbs %#x", uint16(g.Verbs)))
	if err == nil && g.Slice != "" {
		err = CheckLabel(g.Slice)
	}
	return err
}

// owner judges the slice's owner where a statement names one: never the one who
// acts, so that there is one way to say it.
func owner(p, acts Principal) error {
	if p.IsZero() {
		return nil
	}
	return first(principal("owner", p), field(p != acts, "owner is the issuer or holder itself"))
}

func class(c Class, weight uint16) error {
	return first(
		field(c <= Evictable, "class %d", c),
		field(c == Evictable && weight >= 1 && weight <= MaxWeight || c == Hard && weight == 0, "weight %d of a %s lease", weight, c))
}

func alone(v uint8) error { return field(v <= 1, "exclusive %d", v) }

func fanOut(n uint16) error {
	return field(n <= MaxFanOut, "fan-out %d, limit %d", n, MaxFanOut)
}

func mechanism(s string) error {
	if s == "" {
		return nil
	}
	return CheckLabel(s)
}

// CheckPrincipal reports whether p can be held to a signature: rule S5.
func CheckPrincipal(what string, p Principal) error { return principal(what, p) }

// CheckTerm reports whether t is one that a statement may have: rule S6.
func CheckTerm(t Term) error { return term(t) }

// CheckLabel reports whether s can name a slice: 1 to 63 of a-z, 0-9 and '-',
// neither first nor last a dash (RFC 1123), so that slivers have host names.
func CheckLabel(s string) error {
	ok := len(s) > 0 && len(s) <= MaxLabel && s[0] != '-' && s[len(s)-1] != '-'
	for i := 0; ok && i < len(s); i++ {
		c := s[i]
		ok = 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-'
	}
	return field(ok, "label %.70q: want 1 to %d of a-z, 0-9 and inner dashes", s, MaxLabel)
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func field(ok bool, format string, args ...any) error {
	return unless(ok, ErrField, format, args...)
}

// unless returns nil if ok, else what is wrong, wrapping the sentinel.
func unless(ok bool, sentinel error, format string, args ...any) error {
	if ok {
		return nil
	}
	return fmt.Errorf(format+": %w", append(args, sentinel)...)
}

func kind(got, want Kind) error {
	if got == want {
		return nil
	}
	return fmt.Errorf("%s where %s belongs: %w", got, want, ErrKind)
}

func principal(what string, p Principal) error {
	if p.IsZero() {
		return field(false, "no %s", what)
	}
	if p.weak() {
		return field(false, "%s %s: anybody can sign for this key", what, p.Short())
	}
	return nil
}

func slot(s uint8) error     { return field(s < Slots, "slot %d, limit %d", s, Slots-1) }
func instant(at int64) error { return field(at > 0 && at < maxUnix, "instant %d", at) }

// reason judges a text that is printed on a stranger's terminal: a reason, a bid.
func reason(s string) error {
	for _, c := range s {
		if !printable(c) {
			return field(false, "text holds %U, which does not print", c)
		}
	}
	return field(len(s) <= MaxText, "text of %d bytes, limit %d", len(s), MaxText)
}

// printable is the same in every edition of Unicode, so that all who verify a
// statement agree: unicode.IsPrint is not. What is left out controls, hides,
// turns the direction, is a space of another width, or private.
func printable(c rune) bool {
	for _, r := range unprintable {
		if r[0] <= c && c <= r[1] {
			return false
		}
	}
	return c >= ' ' && c < 0xfff0
}

var unprintable = [...][2]rune{{0x7f, 0xa0}, {0xad, 0xad}, {0x600, 0x605}, {0x61c, 0x61c}, {0x6dd, 0x6dd}, {0x70f, 0x70f},
	{0x180e, 0x180e}, {0x2000, 0x200f}, {0x2028, 0x202f}, {0x205f, 0x206f}, {0x3000, 0x3000}, {0xd800, 0xf8ff}, {0xfeff, 0xfeff}}

// maxUnix is the year 9999: arithmetic on any term stays far from overflow.
const maxUnix = 253402300800

func term(t Term) error {
	switch {
	case t.From <= 0 || t.Until >= maxUnix:
		return fmt.Errorf("term [%d, %d) outside the years 1970 to 9999: %w", t.From, t.Until, ErrTerm)
	case t.From >= t.Until:
		return fmt.Errorf("empty term %s: %w", t, ErrTerm)
	case t.Seconds() > MaxTerm:
		return fmt.Errorf("term of %d s, limit %d: %w", t.Seconds(), int64(MaxTerm), ErrTerm)
	}
	return nil
}

func degree(d uint16) error {
	if d < MinDegree || d > MaxDegree {
		return fmt.Errorf("degree %d outside %d to %d: %w", d, MinDegree, MaxDegree, ErrDegree)
	}
	return nil
}

func rset(s RSet) error {
	for r, v := range s {
		if v > MaxAmount {
			return fmt.Errorf("%s=%d, limit %d: %w", Resource(r), v, uint64(MaxAmount), ErrRSet)
		}
	}
	if s.IsZero() {
		return fmt.Errorf("empty rset: %w", ErrRSet)
	}
	return nil
}

func pool(p Pool) error { return CheckLabel(string(p)) }

// runtime is empty for the node's default, else formed like a label.
func runtime(s string) error {
	if s == "" {
		return nil
	}
	return CheckLabel(s)
}

func ports(ps []Port, s RSet, exact bool) error {
	if len(ps) > MaxPorts || uint64(len(ps)) > s[PortsIn] {
		return field(false, "%d ports under ports.in=%d, limit %d", len(ps), s[PortsIn], MaxPorts)
	}
	for i, p := range ps {
		for _, q := range ps[:i] {
			if p.Proto == q.Proto && (p.Number == q.Number && p.Number != 0) {
				return field(false, "port %s/%d is named twice", p.Proto, p.Number)
			}
		}
		if p.Proto != TCP && p.Proto != UDP || p.Inside == 0 || exact && p.Number == 0 {
			return field(false, "port %s/%d to %d", p.Proto, p.Number, p.Inside)
		}
	}
	return nil
}
