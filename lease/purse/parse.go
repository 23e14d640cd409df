// SPDX-License-Identifier: Apache-2.0

package purse

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"croft/lease"
)

// ParseInput reads the one-line form of an input. Statements stand in it by
// digest, and blob finds them; it may be nil where there are none. The error is
// [lease.ErrSyntax].
func ParseInput(line string, blob func(lease.Digest) ([]byte, bool)) (Input, error) {
	name, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	f := readFields(rest)
	var in Input
	switch name {
	case "keep":
		in = Keep{Ref: f.number("ref", 64), Chain: f.chain("chain", blob)}
	case "redeem":
		in = Redeem{Ref: f.number("ref", 64), Ticket: f.id("ticket"), Slot: f.slot(), RSet: f.rset("rset"), Term: f.term(),
			Slice: f.take("slice"), Request: f.request("request"), Replaces: f.id("replaces"), Ports: f.ports("ports"), Owner: f.principal("owner"), FanOut: f.fanOut()}
	case "give":
		in = Give{Ref: f.number("ref", 64), Ticket: f.id("ticket"), Slot: f.slot(), Holder: f.principal("holder"), RSet: f.rset("rset"),
			Term: f.term(), Degree: uint16(f.number("degree", 16)), Request: f.request("request"), FanOut: f.fanOut()}
	case "restored":
		in = Restored{Ref: f.number("ref", 64)}
	case "moved":
		in = Moved{Ref: f.number("ref", 64)}
	case "tick":
		in = Tick{}
	default:
		return nil, fmt.Errorf("input %q: %w", name, lease.ErrSyntax)
	}
	if n := len(f.values); n > 0 {
		f.fail("%d fields too many", n)
	}
	if f.err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, f.err)
	}
	return in, nil
}

// fields takes key=value fields apart, values quoted where they may hold
// anything. The first thing that is wrong stays.
type fields struct {
	values map[string]string
	err    error
}

func readFields(s string) *fields {
	f := &fields{values: map[string]string{}}
	for s = strings.TrimLeft(s, " "); s != ""; s = strings.TrimLeft(s, " ") {
		key, rest, ok := strings.Cut(s, "=")
		value, after, _ := strings.Cut(rest, " ")
		if quoted, err := strconv.QuotedPrefix(rest); err == nil {
			value, _ = strconv.Unquote(quoted) // QuotedPrefix has checked it
			after = rest[len(quoted):]
		}
		if _, twice := f.values[key]; !ok || twice {
			f.fail("field %q", key)
			return f
		}
		f.values[key], s = value, after
	}
	return f
}

func (f *fields) fail(format string, args ...any) {
	if f.err == nil {
		f.err = fmt.Errorf(format+": %w", append(args, lease.ErrSyntax)...)
	}
}

func (f *fields) check(key string, err error) {
	if err != nil {
		f.fail("%s: %v", key, err)
	}
}

func (f *fields) take(key string) string {
	v, ok := f.values[key]
	if !ok {
		f.fail("no %s", key)
	}
	delete(f.values, key)
	return v
}

func (f *fields) number(key string, bits int) uint64 {
	v, err := strconv.ParseUint(f.take(key), 10, bits)
	f.check(key, err)
	return v
}

// fanOut is not there where none is stated.
func (f *fields) fanOut() uint16 {
	if _, ok := f.values["fanout"]; !ok {
		return 0
	}
	return uint16(f.number("fanout", 16))
}

func (f *fields) signed(key string) int64 {
	v, err := strconv.ParseInt(f.take(key), 10, 64)
	f.check(key, err)
	return v
}

func (f *fields) slot() int { return int(f.signed("slot")) }

func (f *fields) term() lease.Term {
	return lease.Term{From: f.signed("from"), Until: f.signed("until")}
}

func (f *fields) id(key string) lease.ID {
	v, err := lease.ParseID(f.take(key))
	f.check(key, err)
	return v
}

func (f *fields) principal(key string) lease.Principal {
	v, err := lease.ParsePrincipal(f.take(key))
	f.check(key, err)
	return v
}

func (f *fields) rset(key string) lease.RSet {
	v, err := lease.ParseRSet(f.take(key))
	f.check(key, err)
	return v
}

func (f *fields) request(key string) (r lease.Request) {
	b, err := hex.DecodeString(f.take(key))
	if f.check(key, err); len(b) != len(r) {
		f.fail("%s of %d bytes", key, len(b))
	}
	copy(r[:], b)
	return r
}

func (f *fields) chain(key string, blob func(lease.Digest) ([]byte, bool)) (chain [][]byte) {
	for text := range strings.SplitSeq(f.take(key), ",") {
		if text == "" {
			continue
		}
		d, err := lease.ParseDigest(text)
		if f.check(key, err); err != nil || blob == nil {
			f.fail("%s: bytes of %q", key, text)
			return nil
		}
		b, ok := blob(d)
		if !ok {
			f.fail("%s: bytes of %s are not at hand", key, d)
		}
		chain = append(chain, b)
	}
	return chain
}

// printPorts prints protocol/number/inside, as numbers, so that what is wrong
// can be printed too.
func printPorts(ports []lease.Port) string {
	list := make([]string, len(ports))
	for i, p := range ports {
		list[i] = fmt.Sprintf("%d/%d/%d", uint8(p.Proto), p.Number, p.Inside)
	}
	return strings.Join(list, " ")
}

func (f *fields) ports(key string) (ports []lease.Port) {
	for text := range strings.FieldsSeq(f.take(key)) {
		var v [3]uint64
		parts := strings.Split(text, "/")
		if len(parts) != len(v) {
			f.fail("%s: %q", key, text)
			return nil
		}
		for i, bits := range []int{8, 16, 16} {
			var err error
			v[i], err = strconv.ParseUint(parts[i], 10, bits)
			f.check(key, err)
		}
		ports = append(ports, lease.Port{Proto: lease.Proto(v[0]), Number: uint16(v[1]), Inside: uint16(v[2])})
	}
	return ports
}
