// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"fmt"
	"strconv"
	"strings"

	"croft/lease"
)

// WitnessInput is what a [Witness] takes in.
type WitnessInput interface {
	witnessInput()
	String() string
}

// Known says what nodes there are, this one among them.
type Known struct{ Nodes []Candidate }

// Grown is a node's answer to an [Ask].
type Grown struct {
	Node   lease.Principal
	Growth Growth
}

// Silent says that a node did not answer an [Ask].
type Silent struct{ Node lease.Principal }

// Told brings a fork that somebody else has found.
type Told struct{ Fork *Fork }

// Displaced says that others' forks have taken the place of a node's among those
// that go round.
type Displaced struct{ Node lease.Principal }

// Passed says that it is later.
type Passed struct{}

func (Known) witnessInput()     {}
func (Grown) witnessInput()     {}
func (Silent) witnessInput()    {}
func (Told) witnessInput()      {}
func (Displaced) witnessInput() {}
func (Passed) witnessInput()    {}

func (i Known) String() string { return "known " + bulk(encoded(i.Nodes)) }
func (i Grown) String() string {
	return fmt.Sprintf("grown node=%s %s", i.Node, bulk(encoded(growthLine{Head: i.Growth.Head, Root: i.Growth.Root, Path: i.Growth.Path})))
}
func (i Silent) String() string    { return fmt.Sprintf("silent node=%s", i.Node) }
func (i Told) String() string      { return "told " + bulk(i.Fork.Bytes()) }
func (i Displaced) String() string { return fmt.Sprintf("displaced node=%s", i.Node) }
func (Passed) String() string      { return "passed" }

// growthLine is a growth in a line of a transcript.
type growthLine struct {
	_    struct{} `cbor:",toarray"`
	Head []byte
	Root lease.Digest
	Path []lease.Digest
}

// WitnessEffect is what a witness's owner must do. A Remember, an Accuse and a
// Discard are its facts, durable before anybody hears of them.
type WitnessEffect interface {
	witnessEffect()
	String() string
}

// Ask has a node asked for its log's growth since it had so many segments, 0 for
// the head alone; done: [Grown] or [Silent].
type Ask struct {
	Node lease.Principal
	Size uint64
}

// Remember has a head kept, and this witness's word on it given to who asks.
type Remember struct {
	Head  OpenedHead
	First uint64
	Seen  int64 // Unix ns
}

// Accuse has a fork kept, shown to the node's owner, and told to everybody who has
// not told of it.
type Accuse struct{ Fork *Fork }

// Discard has the fork of a node let go of.
type Discard struct{ Node lease.Principal }

// Doubt has the node's owner told of a log that is not shown to go on.
type Doubt struct {
	Node lease.Principal
	Why  string
}

func (Ask) witnessEffect()      {}
func (Remember) witnessEffect() {}
func (Accuse) witnessEffect()   {}
func (Discard) witnessEffect()  {}
func (Doubt) witnessEffect()    {}

func (e Ask) String() string { return fmt.Sprintf("ask node=%s size=%d", e.Node, e.Size) }
func (e Remember) String() string {
	return fmt.Sprintf("fact remember first=%d seen=%d %s", e.First, e.Seen, bulk(e.Head.Bytes))
}
func (e Accuse) String() string  { return "fact accuse " + bulk(e.Fork.Bytes()) }
func (e Discard) String() string { return fmt.Sprintf("fact discard node=%s", e.Node) }
func (e Doubt) String() string   { return fmt.Sprintf("doubt node=%s why=%q", e.Node, e.Why) }

// ParseWitnessInput reads the one-line form of an input.
func ParseWitnessInput(line string) (WitnessInput, error) {
	name, p := fieldsOf(line)
	var in WitnessInput
	switch name {
	case "known":
		var nodes []Candidate
		p.fail(lease.Decode(p.hex(), &nodes, MaxCandidates*512))
		in = Known{nodes}
	case "grown":
		node := p.principal()
		var g growthLine
		p.fail(lease.Decode(p.hex(), &g, MaxProof))
		in = Grown{node, Growth{Head: g.Head, Root: g.Root, Path: g.Path}}
	case "silent":
		in = Silent{p.principal()}
	case "told":
		in = Told{p.fork()}
	case "displaced":
		in = Displaced{p.principal()}
	case "passed":
		in = Passed{}
	default:
		p.fail(fmt.Errorf("input %q: %w", name, lease.ErrSyntax))
	}
	return in, p.end(name)
}

// ParseWitnessEffect reads the one-line form of an effect.
func ParseWitnessEffect(line string) (WitnessEffect, error) {
	line = strings.TrimPrefix(line, "fact ")
	if rest, ok := strings.CutPrefix(line, "doubt "); ok {
		node, why, _ := strings.Cut(rest, " why=")
		_, p := fieldsOf("doubt " + node)
		text, err := strconv.Unquote(why)
		p.fail(err)
		return Doubt{p.principal(), text}, p.end("doubt")
	}
	name, p := fieldsOf(line)
	var e WitnessEffect
	switch name {
	case "ask":
		node := p.principal()
		e = Ask{node, p.number("size", 64)}
	case "remember":
		first, seen := p.number("first", 64), int64(p.number("seen", 63))
		e = Remember{Head: p.head(), First: first, Seen: seen}
	case "accuse":
		e = Accuse{p.fork()}
	case "discard":
		e = Discard{p.principal()}
	default:
		p.fail(fmt.Errorf("effect %q: %w", name, lease.ErrSyntax))
	}
	return e, p.end(name)
}

func (p *lineFields) principal() lease.Principal {
	who, err := lease.ParsePrincipal(p.take("node"))
	p.fail(err)
	return who
}

func (p *lineFields) fork() *Fork {
	proof, err := ReadProof(p.hex())
	p.fail(err)
	f, ok := proof.(*Fork)
	if !ok {
		p.fail(fmt.Errorf("no fork: %w", lease.ErrKind))
	}
	return f
}
