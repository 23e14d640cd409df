// SPDX-License-Identifier: Apache-2.0

package leasetest

import (
	"crypto/sha256"
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

	owner       string
	class       lease.Class
	weight      uint16
	alone       uint8
	lead, grace uint32
	mechanism   string
	activate    int64
	commit      int64
	verbs       lease.Verbs
	sequence    uint64
	end         end
}

// end is what an end or a refusal says of itself; nothing of it is inherited.
type end struct {
	at, said, instant int64
	attached          lease.Digest
	about             lease.ID
	lacks             uint8
	text              string
}

// inherit is what a statement has if its words say nothing.
func inherit(up *Drawn) sketch {
	if up == nil {
		return sketch{from: Epoch, until: Epoch + Day, degree: lease.MinDegree, slice: "s", pool: lease.PoolCommons, verbs: lease.AllVerbs}
	}
	s := up.sketch
	s.by, s.sig, s.parent = s.holder, "", up.ID
	s.slot, s.amounts, s.named = 0, false, false
	s.end = end{}
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
	case "owner":
		s.owner = value
	case "slice":
		s.slice = value
	case "pool":
		s.pool = lease.Pool(value)
	case "mechanism":
		s.mechanism = value
	case "text":
		s.end.text = value
	case "parent":
		s.parent, err = reference(value, drawn)
	case "replaces":
		s.replaces, err = reference(value, drawn)
		s.sliver = s.replaces
	case "sliver":
		s.sliver, err = reference(value, drawn)
	case "about":
		s.end.about, err = reference(value, drawn)
	case "attached":
		s.end.attached = sha256.Sum256([]byte(value))
	case "port":
		err = s.port(value)
	case "rset":
		s.rset, s.amounts = lease.RSet{}, true
	case "class":
		s.class, err = class(value)
	case "verbs":
		s.verbs, err = verbs(value)
	case "lacks":
		err = s.lack(value)
	case "tranche", "weight", "exclusive", "request", "sequence":
		err = s.number(name, value)
	case "lead", "grace", "at", "said", "instant", "commit", "activate":
		err = s.span(name, value)
	default:
		err = s.amount(name, value)
	}
	return true, err
}

func (s *sketch) number(name, value string) error {
	bits := map[string]int{"tranche": 8, "weight": 16, "exclusive": 8, "request": 64, "sequence": 64}[name]
	n, err := strconv.ParseUint(value, 10, bits)
	switch name {
	case "tranche":
		s.tranche = uint8(n)
	case "weight":
		s.weight = uint16(n)
	case "exclusive":
		s.alone = uint8(n)
	case "request":
		binary.BigEndian.PutUint64(s.request[8:], n)
	case "sequence":
		s.sequence = n
	}
	return err
}

// span reads a length of time; an instant is counted from [Epoch].
func (s *sketch) span(name, value string) error {
	d, err := time.ParseDuration(value)
	sec := int64(d / time.Second)
	switch name {
	case "lead":
		s.lead = uint32(sec)
	case "grace":
		s.grace = uint32(sec)
	case "at":
		s.end.at = Epoch + sec
	case "said":
		s.end.said = Epoch + sec
	case "instant":
		s.end.instant = Epoch + sec
	case "commit":
		s.commit = Epoch + sec
	case "activate":
		s.activate = Epoch + sec
	}
	return err
}

func class(value string) (lease.Class, error) {
	for _, c := range []lease.Class{lease.Hard, lease.Evictable} {
		if c.String() == value {
			return c, nil
		}
	}
	n, err := strconv.ParseUint(value, 10, 8) // one that does not exist
	return lease.Class(n), err
}

// verbs reads run+renew, all or a number.
func verbs(value string) (v lease.Verbs, err error) {
	if n, err := strconv.ParseUint(value, 0, 16); err == nil {
		return lease.Verbs(n), nil
	}
	names := map[string]lease.Verbs{"run": lease.VerbRun, "renew": lease.VerbRenew, "stop": lease.VerbStop, "logs": lease.VerbLogs,
		"exec": lease.VerbExec, "audit": lease.VerbAudit, "publish": lease.VerbPublish, "all": lease.AllVerbs}
	for _, name := range strings.Split(value, "+") {
		if names[name] == 0 {
			return 0, fmt.Errorf("no verb %q", name)
		}
		v |= names[name]
	}
	return v, nil
}

// lack reads the resource that a claim lacks, or its number plus one.
func (s *sketch) lack(value string) error {
	if n, err := strconv.ParseUint(value, 10, 8); err == nil {
		s.end.lacks = uint8(n)
		return nil
	}
	r, err := lease.ParseResource(value)
	s.end.lacks = uint8(r) + 1
	return err
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
