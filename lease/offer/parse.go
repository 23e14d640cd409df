// SPDX-License-Identifier: Apache-2.0

package offer

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// ParseError says where a query stops making sense.
type ParseError struct {
	Column int    // from 1, in characters
	Got    string // what stands there
	Want   string // what was expected
	Hint   string // "did you mean …?", or empty
}

func (e *ParseError) Error() string {
	got := "the end"
	if e.Got != "" {
		got = strconv.Quote(e.Got)
	}
	s := fmt.Sprintf("query, column %d: got %s, expected %s", e.Column, got, e.Want)
	if e.Hint != "" {
		s += " (" + e.Hint + ")"
	}
	return s
}

func (e *ParseError) Unwrap() error { return ErrQuery }

// ParseQuery reads a query; the empty string is the query that any node
// matches. Every error is a [*ParseError].
func ParseQuery(s string) (Query, error) {
	p := parser{rest: []rune(s)}
	if len(s) > MaxQuery {
		return Query{}, p.fail("", fmt.Sprintf("at most %d bytes", MaxQuery), "")
	}
	var q Query
	p.space()
	if !p.done() && !p.clauseAhead() {
		for {
			c, err := p.constraint()
			if err != nil {
				return Query{}, err
			}
			if q.Constraints = append(q.Constraints, c); len(q.Constraints) > MaxConstraints {
				return Query{}, p.fail("", fmt.Sprintf("at most %d constraints", MaxConstraints), "")
			}
			if p.space(); !p.take('&') {
				break
			}
			p.space()
		}
	}
	for !p.done() {
		if err := p.clause(&q); err != nil {
			return Query{}, err
		}
		p.space()
	}
	return q, nil
}

type parser struct {
	rest []rune
	at   int // characters read
}

func (p *parser) constraint() (Constraint, error) {
	start := *p
	name := p.word()
	a, ok := lookup(name)
	if !ok {
		return Constraint{}, start.fail(name, "an attribute", suggestAttribute(name))
	}
	p.space()
	start = *p
	op := Op(p.run(func(r rune) bool { return strings.ContainsRune("=!<>~", r) }))
	allowed := []Op{Equal, NotEqual, Less, LessOrEqual, Greater, GreaterOrEqual}
	if a.kind == words {
		allowed = allowed[:2]
	}
	if !slices.Contains(allowed, op) {
		return Constraint{}, start.fail(string(op), fmt.Sprintf("one of %s after %s", join(allowed), name), suggestOp(string(op), allowed))
	}
	p.space()
	start = *p
	c := Constraint{Attr: name, Op: op}
	var err error
	if c.Value, err = p.value(); err != nil {
		return Constraint{}, err
	}
	if a.kind != words {
		if c.number, err = a.parse(c.Value); err != nil {
			return Constraint{}, start.fail(c.Value, err.Error(), "")
		}
	}
	return c, nil
}

func (p *parser) value() (string, error) {
	start := *p
	if p.take('"') {
		s := p.run(func(r rune) bool { return r != '"' && printable(r) })
		if !p.take('"') {
			return "", p.fail(p.peek(), `a closing "`, "")
		}
		return s, nil
	}
	s := p.run(bare)
	if s == "" {
		return "", start.fail(p.peek(), "a value", "")
	}
	return s, nil
}

func (p *parser) clause(q *Query) error {
	start := *p
	const want = "& and a constraint, order by, limit or spread by"
	word := p.word()
	again := func(set bool) error {
		if set {
			return start.fail(word, "each clause once", "")
		}
		return nil
	}
	switch word {
	case "order":
		if err := again(len(q.Order) > 0); err != nil {
			return err
		}
		if err := p.by(); err != nil {
			return err
		}
		return p.keys(q)
	case "limit":
		if err := again(q.Limit != 0); err != nil {
			return err
		}
		p.space()
		start = *p
		digits := p.word()
		n, err := strconv.Atoi(digits)
		if err != nil || n < 1 || n > MaxLimit {
			return start.fail(digits, fmt.Sprintf("a number from 1 to %d", MaxLimit), "")
		}
		q.Limit = n
	case "spread":
		if err := again(q.Spread != ""); err != nil {
			return err
		}
		if err := p.by(); err != nil {
			return err
		}
		start = *p
		q.Spread = p.word()
		if kinds := []string{"site", "as", "country"}; !slices.Contains(kinds, q.Spread) {
			return start.fail(q.Spread, "site, as or country", suggest(q.Spread, kinds))
		}
	case "":
		return start.fail(p.peek(), want, "")
	default:
		return start.fail(word, want, suggest(word, []string{"order", "limit", "spread"}))
	}
	return nil
}

// keys reads what follows "order by".
func (p *parser) keys(q *Query) error {
	for {
		start := *p
		k := Key{Descending: p.take('-')}
		name := *p
		k.Attr = p.word()
		if _, ok := lookup(k.Attr); !ok {
			return name.fail(k.Attr, "an attribute", suggestAttribute(k.Attr))
		}
		if slices.ContainsFunc(q.Order, func(o Key) bool { return o.Attr == k.Attr }) {
			return start.fail(k.String(), "each attribute once", "")
		}
		if q.Order = append(q.Order, k); len(q.Order) > MaxOrder {
			return start.fail(k.String(), fmt.Sprintf("at most %d attributes to order by", MaxOrder), "")
		}
		p.space()
		if start = *p; !p.take(',') {
			if way := p.word(); way == "asc" || way == "desc" {
				return start.fail(way, "a comma and another attribute, limit or spread by", "order by -"+k.Attr+" is descending, order by "+k.Attr+" ascending")
			}
			*p = start
			return nil
		}
		p.space()
	}
}

func (p *parser) by() error {
	p.space()
	start := *p
	if w := p.word(); w != "by" {
		return start.fail(w, "by", "")
	}
	p.space()
	return nil
}

func (p *parser) clauseAhead() bool {
	ahead := *p
	word := ahead.word()
	return word == "order" || word == "limit" || word == "spread"
}

func (p *parser) fail(got, want, hint string) error {
	return &ParseError{Column: p.at + 1, Got: got, Want: want, Hint: hint}
}

func (p *parser) done() bool { return len(p.rest) == 0 }

func (p *parser) peek() string {
	if p.done() {
		return ""
	}
	return string(p.rest[0])
}

func (p *parser) space() { p.run(unicode.IsSpace) }

func (p *parser) take(r rune) bool {
	if p.done() || p.rest[0] != r {
		return false
	}
	p.rest, p.at = p.rest[1:], p.at+1
	return true
}

func (p *parser) run(in func(rune) bool) string {
	n := 0
	for n < len(p.rest) && in(p.rest[n]) {
		n++
	}
	s := string(p.rest[:n])
	p.rest, p.at = p.rest[n:], p.at+n
	return s
}

func (p *parser) word() string {
	return p.run(func(r rune) bool {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '.' || r == '_' || r == '-'
	})
}

// bare reports what a value may hold without quotes.
func bare(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("._-:/+@", r)
}

func join(ops []Op) string {
	var parts []string
	for _, op := range ops {
		parts = append(parts, string(op))
	}
	return strings.Join(parts, " ")
}
