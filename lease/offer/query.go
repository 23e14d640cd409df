// SPDX-License-Identifier: Apache-2.0

package offer

import (
	"strconv"
	"strings"
)

// Op compares an attribute with a value.
type Op string

const (
	Equal          Op = "="
	NotEqual       Op = "!="
	Less           Op = "<"
	LessOrEqual    Op = "<="
	Greater        Op = ">"
	GreaterOrEqual Op = ">="
)

// Constraint is one conjunct of a query. Make it by [ParseQuery].
type Constraint struct {
	Attr  string
	Op    Op
	Value string // as typed

	number uint64 // of Value, where the attribute has one
}

// Number returns the value as the attribute's unit has it (bytes, bit/s,
// thousandths, nanoseconds for durations), and whether it has a number at all.
func (c Constraint) Number() (uint64, bool) {
	a, ok := lookup(c.Attr)
	return c.number, ok && a.kind != words
}

// Query is what a seeker wants. The zero value wants any node.
type Query struct {
	Constraints []Constraint
	Order       []Key  // the first decides, the next among equals
	Limit       int    // 0 is all, up to MaxLimit
	Spread      string // "site", "as", "country", or empty
}

// String prints the query in a form that ParseQuery reads.
func (q Query) String() string {
	var b strings.Builder
	for i, c := range q.Constraints {
		if i > 0 {
			b.WriteString(" & ")
		}
		b.WriteString(c.String())
	}
	clause := func(s string) {
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(s)
	}
	for i, k := range q.Order {
		if i == 0 {
			clause("order by " + k.String())
		} else {
			b.WriteString(", " + k.String())
		}
	}
	if q.Limit > 0 {
		clause("limit " + strconv.Itoa(q.Limit))
	}
	if q.Spread != "" {
		clause("spread by " + q.Spread)
	}
	return b.String()
}

func (c Constraint) String() string {
	if strings.IndexFunc(c.Value, func(r rune) bool { return !bare(r) }) >= 0 || c.Value == "" {
		return c.Attr + string(c.Op) + `"` + c.Value + `"`
	}
	return c.Attr + string(c.Op) + c.Value
}

// Match reports whether the offer satisfies every constraint, and otherwise the
// first that it does not.
func (q Query) Match(o *Offer, m Measured) (bool, Constraint) {
	for _, c := range q.Constraints {
		if !c.Holds(o, m) {
			return false, c
		}
	}
	return true, Constraint{}
}

// Holds reports whether the offer satisfies c. What the offer does not state
// satisfies != only.
func (c Constraint) Holds(o *Offer, m Measured) bool {
	a, ok := lookup(c.Attr)
	if !ok {
		return false
	}
	if a.kind == words {
		for _, s := range a.texts(o) {
			if s != "" && strings.EqualFold(s, c.Value) {
				return c.Op == Equal
			}
		}
		return c.Op == NotEqual
	}
	v, ok := a.number(o, m)
	if !ok {
		return c.Op == NotEqual
	}
	return compare(v, c.Op, c.number)
}

func compare(v uint64, op Op, want uint64) bool {
	switch op {
	case Equal:
		return v == want
	case NotEqual:
		return v != want
	case Less:
		return v < want
	case LessOrEqual:
		return v <= want
	case Greater:
		return v > want
	}
	return v >= want
}
