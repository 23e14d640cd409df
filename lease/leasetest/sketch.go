// SPDX-License-Identifier: Apache-2.0

package leasetest

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"time"

	"croft/lease"
)

// sketch is a statement while its words are read: principals by name, and every
// field that any kind has.
type sketch struct {
	by, sig, node, holder string
	parent, replaces      lease.ID
	sliver                lease.ID // of a lease: what it replaces, unless a word says otherwise
	rset                  lease.RSet
	amounts               bool // a word gave an amount
	from, until           int64
	degree                uint16
	slot, tranche         uint8
	slice                 string
	pool                  lease.Pool
	request               lease.Request
	ports                 []lease.Port
	named                 bool // a word gave a port
	owner                 string
	class                 *lease.Class // nil: as the weight says
	weight                uint16
	alone                 uint8
	fanOut                uint16
	mechanism             string
	lead, grace           uint32
	text, bid             string
	verbs                 lease.Verbs
	sequence              uint64
	at, said, commit      int64 // 0 for what the kind has by itself
	activate              int64
	about                 lease.ID
	lacks                 uint8
	instant               int64
	attached              []byte
}

// inherit is what a statement has if its words say nothing.
func inherit(up *Drawn) sketch {
	if up == nil {
		return sketch{from: Epoch, until: Epoch + Day, degree: lease.MinDegree, slice: "s", pool: lease.PoolCommons}
	}
	s := up.sketch
	s.by, s.sig, s.parent = s.holder, "", up.ID
	s.slot, s.amounts, s.named = 0, false, false
	s.at, s.said, s.commit, s.text = 0, 0, 0, ""
	return s
}

// word reads one word; false says that it has no form of its own.
func (s *sketch) word(w string, drawn Tree) (bool, error) {
	if d, ok := strings.CutPrefix(w, "@"); ok {
		n, err := strconv.ParseUint(d, 10, 16)
		s.degree = uint16(n)
		return true, err
	}
	if from, until, ok := strings.Cut(w, ".."); ok {
		return true, s.term(from, until)
	}
	name, value, ok := strings.Cut(w, "=")
	if !ok {
		return false, nil
	}
	if done, err := s.answered(name, value, drawn); done {
		return true, err
	}
	var err error
	switch name {
	case "by":
		s.by = value
	case "sig":
		s.sig = value
	case "node":
		s.node = value
	case "holder":
		s.holder = value
	case "owner":
		s.owner = value
	case "slice":
		s.slice = value
	case "pool":
		s.pool = lease.Pool(value)
	case "mechanism":
		s.mechanism = value
	case "parent":
		s.parent, err = reference(value, drawn)
	case "replaces":
		s.replaces, err = reference(value, drawn)
		s.sliver = s.replaces
	case "sliver":
		s.sliver, err = reference(value, drawn)
	case "tranche":
		s.tranche, err = number[uint8](value)
	case "class":
		var n uint8
		n, err = number[uint8](value)
		c := lease.Class(n)
		s.class = &c
	case "lead":
		s.lead, err = seconds(value)
	case "weight":
		s.weight, err = number[uint16](value)
	case "exclusive":
		s.alone, err = number[uint8](value)
	case "bid":
		s.bid = value
	case "fanout":
		s.fanOut, err = number[uint16](value)
	case "verbs":
		if s.verbs, err = number[lease.Verbs](value); err != nil {
			s.verbs, err = lease.ParseVerbs(value)
		}
	case "sequence":
		s.sequence, err = number[uint64](value)
	case "request":
		var n uint64
		n, err = number[uint64](value)
		binary.BigEndian.PutUint64(s.request[8:], n)
	case "port":
		err = s.port(value)
	case "rset":
		s.rset, s.amounts = lease.RSet{}, true
	default:
		err = s.amount(name, value)
	}
	return true, err
}

// answered reads the words of what a node says and of ends: instants from
// [Epoch], and what a refusal is about.
func (s *sketch) answered(name, value string, drawn Tree) (done bool, err error) {
	switch name {
	case "at":
		s.at, err = instant(value)
	case "said":
		s.said, err = instant(value)
	case "commit":
		s.commit, err = instant(value)
	case "instant":
		s.instant, err = instant(value)
	case "grace":
		s.grace, err = seconds(value)
	case "activate":
		s.activate, err = instant(value)
	case "text":
		s.text = value
	case "about":
		s.about, err = reference(value, drawn)
	case "lacks":
		if s.lacks, err = number[uint8](value); err != nil {
			var r lease.Resource
			r, err = lease.ParseResource(value)
			s.lacks = uint8(r) + 1
		}
	case "fills":
		s.attached, err = drawn.filling(s.about, value)
	case "proves":
		var p lease.Proof
		p, err = drawn.Proof(value)
		s.attached = p.Bytes()
	case "attached":
		s.attached = []byte(value)
	default:
		return false, nil
	}
	return true, err
}

func number[T ~uint8 | ~uint16 | ~uint64](value string) (T, error) {
	n, err := strconv.ParseUint(value, 10, 64)
	if err == nil && uint64(T(n)) != n {
		err = strconv.ErrRange
	}
	return T(n), err
}

func seconds(value string) (uint32, error) {
	d, err := time.ParseDuration(value)
	return uint32(d / time.Second), err
}

func instant(value string) (int64, error) {
	d, err := time.ParseDuration(value)
	return Epoch + int64(d/time.Second), err
}

func (s *sketch) amount(name, value string) error {
	r, err := lease.ParseResource(name)
	if err != nil {
		return err
	}
	if !s.amounts {
		s.rset, s.amounts = lease.RSet{}, true
	}
	s.rset[r], err = r.ParseAmount(value)
	return err
}

func (s *sketch) term(from, until string) error {
	a, err := time.ParseDuration(from)
	if err != nil {
		return err
	}
	b, err := time.ParseDuration(until)
	s.from, s.until = Epoch+int64(a/time.Second), Epoch+int64(b/time.Second)
	return err
}

// port reads tcp/80:8080, or tcp/:8080 for any number outside.
func (s *sketch) port(value string) error {
	if !s.named {
		s.ports, s.named = nil, true
	}
	proto, numbers, _ := strings.Cut(value, "/")
	outside, inside, ok := strings.Cut(numbers, ":")
	p := lease.Port{Proto: map[string]lease.Proto{"tcp": lease.TCP, "udp": lease.UDP}[proto]}
	if outside != "" {
		n, err := strconv.ParseUint(outside, 10, 16)
		if err != nil {
			return err
		}
		p.Number = uint16(n)
	}
	n, err := strconv.ParseUint(inside, 10, 16)
	if err != nil || !ok || p.Proto == 0 {
		return fmt.Errorf("port %q: want tcp/80:8080", value)
	}
	p.Inside = uint16(n)
	s.ports = append(s.ports, p)
	return nil
}

func reference(value string, drawn Tree) (lease.ID, error) {
	if value == "none" {
		return lease.ID{}, nil
	}
	i, err := strconv.Atoi(value)
	if err != nil || i < 0 || i >= len(drawn) {
		return lease.ID{}, fmt.Errorf("%q: want none or the position of an earlier statement", value)
	}
	return drawn[i].ID, nil
}
