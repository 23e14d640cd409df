// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"croft/lease"
)

// LogInput is what a [Log] takes in.
type LogInput interface {
	logInput()
	String() string
}

// Tick says that it is later, and how many bytes are kept besides the rows of
// closed segments.
type Tick struct{ Other int64 }

// Noted says that a record with so many rows is durable in the open segment.
type Noted struct{ Rows uint64 }

// Rolled says that the segment of that number is the open one.
type Rolled struct{ Number uint64 }

// Written says that a segment's rows are durable in their closed form.
type Written struct {
	Segment Segment
	Bytes   int64
}

// Held says that a segment's rows are there from an earlier run.
type Held struct {
	Segment Segment
	Bytes   int64
}

// Appended says that the segment is durable as a leaf of the log.
type Appended struct{ Number uint64 }

// Signed brings a head.
type Signed struct{ Head OpenedHead }

// Kept says that a head is durable.
type Kept struct{ ID lease.ID }

// Dropped says that a segment's rows are gone.
type Dropped struct{ Number uint64 }

func (Tick) logInput()     {}
func (Noted) logInput()    {}
func (Rolled) logInput()   {}
func (Written) logInput()  {}
func (Held) logInput()     {}
func (Appended) logInput() {}
func (Signed) logInput()   {}
func (Kept) logInput()     {}
func (Dropped) logInput()  {}

func (i Tick) String() string   { return fmt.Sprintf("tick other=%d", i.Other) }
func (i Noted) String() string  { return fmt.Sprintf("noted rows=%d", i.Rows) }
func (i Rolled) String() string { return fmt.Sprintf("rolled segment=%d", i.Number) }
func (i Written) String() string {
	return fmt.Sprintf("written %s bytes=%d", bulk(i.Segment.Bytes()), i.Bytes)
}
func (i Held) String() string {
	return fmt.Sprintf("held %s bytes=%d", bulk(i.Segment.Bytes()), i.Bytes)
}
func (i Appended) String() string { return fmt.Sprintf("appended segment=%d", i.Number) }
func (i Signed) String() string   { return fmt.Sprintf("signed %s", bulk(i.Head.Bytes)) }
func (i Kept) String() string     { return fmt.Sprintf("kept head=%s", i.ID) }
func (i Dropped) String() string  { return fmt.Sprintf("dropped segment=%d", i.Number) }

// Effect is what a log's owner must do. It is done in order, and an Append or
// Keep, the log's facts, is durable before what follows from it is done.
type Effect interface {
	effect()
	String() string
}

// Roll has the next records go to a segment of that number; done: [Rolled].
type Roll struct{ Number uint64 }

// Write has a complete segment brought into its closed form; done: [Written].
type Write struct{ Number uint64 }

// Append has a leaf appended to the log; done: [Appended].
type Append struct{ Segment Segment }

// Sign has a head signed; done: [Signed].
type Sign struct{ Head Head }

// Keep has a signed head appended to the log's file; done: [Kept].
type Keep struct{ Head OpenedHead }

// Publish has witnesses told of a head. It comes once; a witness asks anyway.
type Publish struct{ Head OpenedHead }

// Drop has a segment's rows removed, early if for room; done: [Dropped].
type Drop struct {
	Number uint64
	Early  bool
}

func (Roll) effect()    {}
func (Write) effect()   {}
func (Append) effect()  {}
func (Sign) effect()    {}
func (Keep) effect()    {}
func (Publish) effect() {}
func (Drop) effect()    {}

func (e Roll) String() string    { return fmt.Sprintf("roll segment=%d", e.Number) }
func (e Write) String() string   { return fmt.Sprintf("write segment=%d", e.Number) }
func (e Append) String() string  { return "fact append " + bulk(e.Segment.Bytes()) }
func (e Sign) String() string    { return "sign " + bulk(encoded(e.Head)) }
func (e Keep) String() string    { return "fact keep " + bulk(e.Head.Bytes) }
func (e Publish) String() string { return "publish " + bulk(e.Head.Bytes) }
func (e Drop) String() string    { return fmt.Sprintf("drop segment=%d early=%t", e.Number, e.Early) }

// bulk writes bytes of under 300 so that they parse again.
func bulk(b []byte) string { return "bytes=" + hex.EncodeToString(b) }

// ParseLogInput reads the one-line form of an input.
func ParseLogInput(line string) (LogInput, error) {
	name, p := fieldsOf(line)
	var in LogInput
	switch name {
	case "tick":
		in = Tick{int64(p.number("other", 63))}
	case "noted":
		in = Noted{p.number("rows", 64)}
	case "rolled":
		in = Rolled{p.number("segment", 64)}
	case "written":
		in = Written{p.segment(), int64(p.number("bytes", 63))}
	case "held":
		in = Held{p.segment(), int64(p.number("bytes", 63))}
	case "appended":
		in = Appended{p.number("segment", 64)}
	case "signed":
		in = Signed{p.head()}
	case "kept":
		id, err := lease.ParseID(p.take("head"))
		p.fail(err)
		in = Kept{id}
	case "dropped":
		in = Dropped{p.number("segment", 64)}
	default:
		p.fail(fmt.Errorf("input %q: %w", name, lease.ErrSyntax))
	}
	return in, p.end(name)
}

// ParseEffect reads the one-line form of an effect.
func ParseEffect(line string) (Effect, error) {
	name, p := fieldsOf(strings.TrimPrefix(line, "fact "))
	var e Effect
	switch name {
	case "roll":
		e = Roll{p.number("segment", 64)}
	case "write":
		e = Write{p.number("segment", 64)}
	case "append":
		e = Append{p.segment()}
	case "sign":
		var h Head
		p.fail(lease.Decode(p.hex(), &h, MaxHead))
		e = Sign{h}
	case "keep":
		e = Keep{p.head()}
	case "publish":
		e = Publish{p.head()}
	case "drop":
		n := p.number("segment", 64)
		early, err := strconv.ParseBool(p.take("early"))
		p.fail(err)
		e = Drop{n, early}
	default:
		p.fail(fmt.Errorf("effect %q: %w", name, lease.ErrSyntax))
	}
	return e, p.end(name)
}

// lineFields are the key=value fields of a line, in order; the first error stays.
type lineFields struct {
	list []string
	err  error
}

func fieldsOf(line string) (name string, p *lineFields) {
	list := strings.Fields(line)
	if len(list) == 0 {
		return "", &lineFields{}
	}
	return list[0], &lineFields{list: list[1:]}
}

func (p *lineFields) fail(err error) {
	if p.err == nil {
		p.err = err
	}
}

func (p *lineFields) end(name string) error {
	if len(p.list) > 0 {
		p.fail(fmt.Errorf("%d fields too many: %w", len(p.list), lease.ErrSyntax))
	}
	if p.err != nil {
		return fmt.Errorf("reading %s: %w", name, p.err)
	}
	return nil
}

func (p *lineFields) take(key string) string {
	if len(p.list) > 0 {
		if v, ok := strings.CutPrefix(p.list[0], key+"="); ok {
			p.list = p.list[1:]
			return v
		}
	}
	p.fail(fmt.Errorf("no %s: %w", key, lease.ErrSyntax))
	return ""
}

func (p *lineFields) number(key string, bits int) uint64 {
	v, err := strconv.ParseUint(p.take(key), 10, bits)
	p.fail(err)
	return v
}

func (p *lineFields) hex() []byte {
	b, err := hex.DecodeString(p.take("bytes"))
	p.fail(err)
	return b
}

func (p *lineFields) segment() Segment {
	s, err := ParseSegment(p.hex())
	p.fail(err)
	return s
}

func (p *lineFields) head() OpenedHead {
	h, err := OpenHead(p.hex())
	p.fail(err)
	return h
}
