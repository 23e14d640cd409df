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
	owner                 string // of the slice, where it is not who acts
	verbs                 lease.Verbs
	sequence              uint64
	pool                  lease.Pool
	request               lease.Request
	ports                 []lease.Port
	named                 bool // a word gave a port
}

// inherit is what a statement has if its words say nothing.
func inherit(up *Drawn) sketch {
	if up == nil {
		return sketch{from: Epoch, until: Epoch + Day, degree: lease.MinDegree, slice: "s", pool: lease.PoolCommons}
	}
	s := up.sketch
	s.by, s.sig, s.parent = s.holder, "", up.ID
	s.slot, s.amounts, s.named = 0, false, false
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
	case "slice":
		s.slice = value
	case "owner":
		s.owner = value
	case "verbs":
		s.verbs, err = lease.ParseVerbs(value)
	case "seq":
		s.sequence, err = strconv.ParseUint(value, 10, 64)
	case "pool":
		s.pool = lease.Pool(value)
	case "parent":
		s.parent, err = reference(value, drawn)
	case "replaces":
		s.replaces, err = reference(value, drawn)
		s.sliver = s.replaces
	case "sliver":
		s.sliver, err = reference(value, drawn)
	case "tranche":
		n, e := strconv.ParseUint(value, 10, 8)
		s.tranche, err = uint8(n), e
	case "request":
		n, e := strconv.ParseUint(value, 10, 64)
		binary.BigEndian.PutUint64(s.request[8:], n)
		err = e
	case "port":
		err = s.port(value)
	case "rset":
		s.rset, s.amounts = lease.RSet{}, true
	default:
		err = s.amount(name, value)
	}
	return true, err
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
