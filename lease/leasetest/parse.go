// SPDX-License-Identifier: Apache-2.0

package leasetest

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"croft/lease"
)

type parser struct {
	rest string
	tree Tree
}

func (p *parser) skip() { p.rest = strings.TrimLeft(p.rest, " ") }

func (p *parser) take(s string) bool {
	p.skip()
	rest, ok := strings.CutPrefix(p.rest, s)
	if ok {
		p.rest = rest
	}
	return ok
}

// path reads statements joined by arrows, the last of which may be a brace.
func (p *parser) path(up *Drawn) error {
	for {
		d, err := p.statement(up)
		if err != nil {
			return err
		}
		if up = d; !p.take("->") {
			return nil
		}
		if p.take("{") {
			return p.children(up)
		}
	}
}

func (p *parser) children(up *Drawn) error {
	for {
		if err := p.path(up); err != nil {
			return err
		}
		if p.take("}") {
			return nil
		}
		if !p.take(",") {
			return errors.New("want , or }")
		}
	}
}

func (p *parser) statement(up *Drawn) (*Drawn, error) {
	p.skip()
	name, rest, ok := strings.Cut(p.rest, "(")
	inside, after, closed := strings.Cut(rest, ")")
	if !ok || !closed {
		return nil, errors.New("want a statement such as t0(alice cpu=1)")
	}
	d, err := p.sign(name, strings.Fields(inside), up)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	p.rest = after
	p.tree = append(p.tree, d)
	return d, nil
}

func (p *parser) sign(name string, words []string, up *Drawn) (*Drawn, error) {
	s := inherit(up)
	kind := strings.TrimRight(name, "0123456789")
	if digits := name[len(kind):]; digits != "" {
		slot, err := strconv.ParseUint(digits, 10, 8)
		if err != nil {
			return nil, err
		}
		s.slot = uint8(slot)
	}
	var bare []string
	for _, w := range words {
		if ok, err := s.word(w, p.tree); err != nil {
			return nil, err
		} else if !ok {
			bare = append(bare, w)
		}
	}
	st, err := s.statement(kind, bare)
	if err != nil {
		return nil, err
	}
	if s.sig == "" {
		s.sig = s.by
	}
	signed, err := lease.SealAs(lease.Domain, st, Key(s.sig))
	if err != nil {
		return nil, err
	}
	d := &Drawn{Statement: st, Signed: signed, ID: signed.ID(), Up: up, Attachment: s.attached}
	s.attached = nil
	d.sketch = s
	return d, nil
}
