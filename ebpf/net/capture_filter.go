// SPDX-License-Identifier: Apache-2.0

package net

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/bpf"
)

// Filter chooses the packets of a capture. It is a small part of what tcpdump
// understands, and means the same there:
//
//	filter = term { "and" term }
//	term   = [ "not" ] ( "tcp" | "udp" | "icmp" | "icmp6" | "arp" | "ip" | "ip6"
//	       | [ "src" | "dst" ] ( "host" ADDRESS | "net" PREFIX | "port" NUMBER ) )
//
// but that host and net do not look into ARP. Headers between IPv6's and the
// transport's are not looked behind, and of a fragmented packet only the first
// fragment has ports. The zero Filter takes every packet.
type Filter struct {
	text  string
	terms []term
}

func (f Filter) String() string { return f.text }

type term struct {
	not      bool
	kind     string // as it is written
	src, dst bool   // which side may match
	prefix   netip.Prefix
	port     uint16
}

// The EtherTypes and protocols that a term is about.
const (
	etherIP4, etherARP, etherIP6 = 0x0800, 0x0806, 0x86dd

	ipICMP, ipTCP, ipUDP, ipICMP6, ipSCTP = 1, 6, 17, 58, 132
)

// ParseFilter reads a filter; ErrFilter says what it does not understand.
func ParseFilter(text string) (Filter, error) {
	if len(text) > maxFilter {
		return Filter{}, fmt.Errorf("%d bytes, at most %d: %w", len(text), maxFilter, ErrFilter)
	}
	f := Filter{}
	words := strings.Fields(text)
	for len(words) > 0 {
		if len(f.terms) > 0 {
			if words[0] != "and" {
				return Filter{}, fmt.Errorf("%q, want and: %w", words[0], ErrFilter)
			}
			words = words[1:]
		}
		if len(f.terms) == maxTerms {
			return Filter{}, fmt.Errorf("more than %d terms: %w", maxTerms, ErrFilter)
		}
		t, rest, err := parseTerm(words)
		if err != nil {
			return Filter{}, err
		}
		f.terms, words = append(f.terms, t), rest
	}
	f.text = strings.Join(strings.Fields(text), " ")
	return f, nil
}

func parseTerm(words []string) (t term, rest []string, err error) {
	next := func() string {
		if len(words) == 0 {
			return ""
		}
		w := words[0]
		words = words[1:]
		return w
	}
	w := next()
	if t.not = w == "not"; t.not {
		w = next()
	}
	t.src, t.dst = w != "dst", w != "src"
	sided := w == "src" || w == "dst"
	if sided {
		w = next()
	}
	switch t.kind = w; w {
	case "tcp", "udp", "icmp", "icmp6", "arp", "ip", "ip6":
		if sided {
			err = fmt.Errorf("src or dst before %s: %w", w, ErrFilter)
		}
	case "host":
		var a netip.Addr
		if a, err = netip.ParseAddr(next()); err == nil && a.Zone() == "" {
			t.prefix = netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen())
		}
	case "net":
		if t.prefix, err = netip.ParsePrefix(next()); err == nil && t.prefix.Addr().Is4In6() {
			err = fmt.Errorf("%s is IPv4, write it so", t.prefix)
		}
	case "port":
		var n uint64
		n, err = strconv.ParseUint(next(), 10, 16)
		t.port = uint16(n)
	case "":
		err = fmt.Errorf("a term is missing")
	default:
		err = fmt.Errorf("%q, want host, net, port, tcp, udp, icmp, icmp6, arp, ip or ip6", w)
	}
	if err == nil && (w == "host" || w == "net") && !t.prefix.IsValid() {
		err = fmt.Errorf("an address with a zone")
	}
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrFilter, err)
	}
	t.prefix = t.prefix.Masked()
	return t, words, err
}

// program makes the filter for the kernel, which then copies the first snap
// bytes of what passes. Each term ends the program or leads to the next.
func (f Filter) program(snap int) ([]bpf.RawInstruction, error) {
	var all []bpf.Instruction
	for _, t := range f.terms {
		var b block
		t.compile(&b)
		all = append(all, b.finish(t.not)...)
	}
	return bpf.Assemble(append(all, bpf.RetConstant{Val: uint32(snap)}))
}

// Where things are in an Ethernet frame.
const (
	atEther                 = 12
	atIP4, atIP4Fragment    = 14, 20
	atIP4Proto              = 23
	atIP4Source, atIP4Dest  = 26, 30
	atIP6Proto              = 20
	atIP6Source, atIP6Dest  = 22, 38
	atIP6Payload            = 54
	fragmentOffset          = 0x1fff
	sourcePort, destination = 0, 2 // in the header of TCP, UDP and SCTP
)

func (t term) compile(b *block) {
	switch t.kind {
	case "ip":
		b.is(atEther, 2, no, etherIP4)
	case "ip6":
		b.is(atEther, 2, no, etherIP6)
	case "arp":
		b.is(atEther, 2, no, etherARP)
	case "tcp", "udp":
		proto := map[string]uint32{"tcp": ipTCP, "udp": ipUDP}[t.kind]
		six := b.label()
		b.is(atEther, 2, six, etherIP4)
		b.is(atIP4Proto, 1, no, proto)
		b.jump(yes)
		b.place(six)
		b.is(atEther, 2, no, etherIP6)
		b.is(atIP6Proto, 1, no, proto)
	case "icmp":
		b.is(atEther, 2, no, etherIP4)
		b.is(atIP4Proto, 1, no, ipICMP)
	case "icmp6":
		b.is(atEther, 2, no, etherIP6)
		b.is(atIP6Proto, 1, no, ipICMP6)
	case "host", "net":
		source, dest := uint32(atIP4Source), uint32(atIP4Dest)
		ether := uint32(etherIP4)
		if t.prefix.Addr().Is6() {
			source, dest, ether = atIP6Source, atIP6Dest, etherIP6
		}
		b.is(atEther, 2, no, ether)
		if t.src && t.dst {
			other := b.label()
			b.within(source, t.prefix, other)
			b.jump(yes)
			b.place(other)
			b.within(dest, t.prefix, no)
		} else if t.src {
			b.within(source, t.prefix, no)
		} else {
			b.within(dest, t.prefix, no)
		}
	case "port":
		six, at4, at6 := b.label(), b.label(), b.label()
		b.is(atEther, 2, six, etherIP4)
		b.is(atIP4Proto, 1, no, ipTCP, ipUDP, ipSCTP)
		b.add(bpf.LoadAbsolute{Off: atIP4Fragment, Size: 2})
		b.branch(bpf.JumpBitsSet, fragmentOffset, no, at4)
		b.place(at4)
		b.add(bpf.LoadMemShift{Off: atIP4})
		b.ports(t, func(off uint32) bpf.Instruction { return bpf.LoadIndirect{Off: atIP4 + off, Size: 2} })
		b.place(six)
		b.is(atEther, 2, no, etherIP6)
		b.is(atIP6Proto, 1, no, ipTCP, ipUDP, ipSCTP)
		b.place(at6)
		b.ports(t, func(off uint32) bpf.Instruction { return bpf.LoadAbsolute{Off: atIP6Payload + off, Size: 2} })
	}
}

// ports ends with a yes or a no.
func (b *block) ports(t term, load func(off uint32) bpf.Instruction) {
	for _, side := range []struct {
		may bool
		off uint32
	}{{t.src, sourcePort}, {t.dst, destination}} {
		if side.may {
			next := b.label()
			b.add(load(side.off))
			b.branch(bpf.JumpEqual, uint32(t.port), yes, next)
			b.place(next)
		}
	}
	b.jump(no)
}

// block is the code of one term. Jumps name labels until it is finished.
type block struct {
	code   []bpf.Instruction
	places []int          // label → where it is
	exits  map[int][2]int // index of a conditional jump → its labels
	jumps  map[int]int    // index of a jump → its label
}

// yes and no are the labels of the two ends of a term.
const (
	yes = -1 - iota
	no
)

func (b *block) add(i bpf.Instruction) { b.code = append(b.code, i) }

func (b *block) label() int {
	b.places = append(b.places, 0)
	return len(b.places) - 1
}

func (b *block) place(label int) { b.places[label] = len(b.code) }

func (b *block) branch(test bpf.JumpTest, val uint32, then, otherwise int) {
	if b.exits == nil {
		b.exits = map[int][2]int{}
	}
	b.exits[len(b.code)] = [2]int{then, otherwise}
	b.add(bpf.JumpIf{Cond: test, Val: val})
}

func (b *block) jump(label int) {
	if b.jumps == nil {
		b.jumps = map[int]int{}
	}
	b.jumps[len(b.code)] = label
	b.add(bpf.Jump{})
}

// is goes on if the field is one of the values, else to label.
func (b *block) is(off uint32, size int, otherwise int, values ...uint32) {
	b.add(bpf.LoadAbsolute{Off: off, Size: size})
	found := b.label()
	for i, v := range values {
		next := otherwise
		if i < len(values)-1 {
			next = b.label()
		}
		b.branch(bpf.JumpEqual, v, found, next)
		if next >= 0 && i < len(values)-1 {
			b.place(next)
		}
	}
	b.place(found)
}

// within goes on if the address at off is in the prefix, else to label.
func (b *block) within(off uint32, p netip.Prefix, otherwise int) {
	address := p.Addr().AsSlice()
	for i := 0; i < len(address) && i*8 < p.Bits(); i += 4 {
		bits := min(p.Bits()-i*8, 32)
		mask := ^uint32(0) << (32 - bits)
		word := uint32(address[i])<<24 | uint32(address[i+1])<<16 | uint32(address[i+2])<<8 | uint32(address[i+3])
		b.add(bpf.LoadAbsolute{Off: off + uint32(i), Size: 4})
		if bits < 32 {
			b.add(bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: mask})
		}
		next := b.label()
		b.branch(bpf.JumpEqual, word, next, otherwise)
		b.place(next)
	}
}

// finish puts the end of the program behind the term: with it the packet is not
// taken. The other end is what comes next.
func (b *block) finish(not bool) []bpf.Instruction {
	end, next := no, yes
	if not {
		end, next = yes, no
	}
	b.jump(yes) // who falls out of the code has matched
	refused := len(b.code)
	code := append(slices.Clone(b.code), bpf.RetConstant{Val: 0})
	where := func(label int) int {
		switch label {
		case end:
			return refused
		case next:
			return refused + 1
		}
		return b.places[label]
	}
	for i, labels := range b.exits {
		j := code[i].(bpf.JumpIf)
		j.SkipTrue, j.SkipFalse = uint8(where(labels[0])-i-1), uint8(where(labels[1])-i-1)
		code[i] = j
	}
	for i, label := range b.jumps {
		code[i] = bpf.Jump{Skip: uint32(where(label) - i - 1)}
	}
	return code
}
