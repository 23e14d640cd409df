// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"croft/lease"
)

// ErrLog: facts that are no history of one log.
var ErrLog = errors.New("is no history of this log")

// LogOptions bound a log.
type LogOptions struct {
	Node      lease.Principal
	Span      time.Duration // of a segment
	Rows      uint64        // after so many a segment is closed before its time
	Retention time.Duration // of rows
	Budget    int64         // bytes of everything that is kept
}

// Log decides when a node's record is cut into segments, which become leaves of
// its log, what heads are signed, and which rows go:
//
//	rows ─▶ open segment ─roll▶ complete ─write▶ closed file ─append▶ leaf of the log ─sign▶ head ─keep▶ published
//	                            (waits)          └──────────── drop, by age or budget: the leaf stays
//
// Its state is what is durable, and its effects are what is due by that: each is
// said again with every Step until the input that says it is done. So who could
// not do one, for a full disk say, lets it be and steps again later; and after a
// crash nothing but the facts is needed. Not safe for concurrent use.
type Log struct {
	opt  LogOptions
	tree Tree

	open  uint64 // number of the segment that is being filled
	begun int64  // when its first record came, Unix ns; 0: it is empty
	rows  uint64

	written *Segment // its file is durable, and it is the log's next leaf
	head    Head     // the newest that is kept; no size: none is
	signed  *OpenedHead

	held   []held // segments whose rows are there, by number
	bytes  int64  // of them
	other  int64  // of everything else
	last   int64  // time of the last step, Unix ns
	steady int64  // since when the clock has run on without a jump
}

type held struct {
	number uint64
	until  int64
	bytes  int64
}

// NewLog returns the log of a node without a history.
func NewLog(opt LogOptions) *Log { return &Log{opt: opt} }

// Restore takes one fact of an earlier run: an [Append] or a [Keep], in the order
// in which they were made durable. It calls no signer.
func (l *Log) Restore(fact Effect) error {
	switch f := fact.(type) {
	case Append:
		if f.Segment.Number != l.tree.Size() {
			return fmt.Errorf("segment %d where %d belongs: %w", f.Segment.Number, l.tree.Size(), ErrLog)
		}
		l.append(f.Segment)
		l.open = max(l.open, l.tree.Size())
		return nil
	case Keep:
		root, err := l.tree.Root(f.Head.Size)
		if err != nil || root != f.Head.Root || f.Head.Node != l.opt.Node {
			return fmt.Errorf("head %s: %w", f.Head.Head, ErrLog)
		}
		l.head = f.Head.Head
		return nil
	}
	return fmt.Errorf("%s is no fact: %w", fact, ErrField)
}

func (l *Log) append(s Segment) { l.tree.Append(HashSegment(s.Bytes())) }

// Tree returns the tree over all segments, to make proofs from; it is not to be
// changed.
func (l *Log) Tree() *Tree { return &l.tree }

// Head returns the newest head that is kept, and false if there is none.
func (l *Log) Head() (Head, bool) { return l.head, l.head.Size > 0 }

// Step takes in what was done or came, and returns what is due, in the order in
// which it is to be done.
func (l *Log) Step(now time.Time, in LogInput) []Effect {
	at := now.UnixNano()
	if jump := at - l.last; l.last == 0 || jump < -int64(clockJump) || jump > int64(clockJump) {
		l.steady = at
	}
	l.last = at
	var done []Effect
	switch in := in.(type) {
	case Tick:
		l.other = in.Other
	case Noted:
		if l.rows += in.Rows; l.begun == 0 {
			l.begun = at
		}
	case Rolled:
		if in.Number > l.open {
			l.open, l.begun, l.rows = in.Number, 0, 0
		}
	case Written:
		if in.Segment.Number == l.tree.Size() && in.Segment.Number < l.open {
			l.written = &in.Segment
			l.hold(in.Segment, in.Bytes)
		}
	case Appended:
		if l.written != nil && l.written.Number == in.Number {
			l.append(*l.written)
			l.written = nil
		}
	case Held:
		l.hold(in.Segment, in.Bytes)
	case Signed:
		if root, err := l.tree.Root(in.Head.Size); err == nil && root == in.Head.Root && in.Head.Node == l.opt.Node && in.Head.Newer(l.head) {
			l.signed = &in.Head
		}
	case Kept:
		if l.signed != nil && l.signed.ID == in.ID {
			done = append(done, Publish{*l.signed})
			l.head, l.signed = l.signed.Head, nil
		}
	case Dropped:
		l.held = slices.DeleteFunc(l.held, func(h held) bool {
			if h.number == in.Number {
				l.bytes -= h.bytes
			}
			return h.number == in.Number
		})
	}
	return append(done, l.due(at)...)
}

func (l *Log) hold(s Segment, bytes int64) {
	i, found := slices.BinarySearchFunc(l.held, s.Number, func(h held, n uint64) int { return int(int64(h.number) - int64(n)) })
	if !found {
		l.held = slices.Insert(l.held, i, held{s.Number, s.Until, bytes})
		l.bytes += bytes
	}
}

// due says what is to be done by the state that there is.
func (l *Log) due(at int64) (out []Effect) {
	if l.rolls(at) {
		out = append(out, Roll{l.open + 1})
	}
	switch size := l.tree.Size(); {
	case l.signed != nil:
		out = append(out, Keep{*l.signed})
	case l.written != nil:
		out = append(out, Append{*l.written})
	case size < l.open:
		out = append(out, Write{size})
	case l.head.Size < size:
		root, err := l.tree.Root(size)
		if err != nil {
			panic(err) // the whole tree has a root
		}
		out = append(out, Sign{Head{Node: l.opt.Node, Size: size, Root: root, At: max(at, l.head.At+1)}})
	}
	return append(out, l.drops(at)...)
}

// rolls reports whether the open segment is complete: by its time, its rows, or
// because the clock went back to before it.
func (l *Log) rolls(at int64) bool {
	return l.begun != 0 && (at-l.begun >= int64(l.opt.Span) || l.begun-at > int64(backwards) || l.rows >= l.opt.Rows)
}

// Steady reports whether the clock of the last step has run on without a jump for
// as long as it takes to be believed that something is old.
func (l *Log) Steady() bool { return l.last-l.steady >= int64(clockJump) }

// drops returns the segments whose rows are over age, and the oldest of those
// that are over the budget. A clock that jumped is not believed for a while: it
// would take all rows at once.
func (l *Log) drops(at int64) (out []Effect) {
	steady, over := l.Steady(), l.bytes+l.other-l.opt.Budget
	for _, h := range l.held {
		old := at-h.until > int64(l.opt.Retention)
		if h.number >= l.tree.Size() || !(old && steady) && over <= 0 {
			continue
		}
		out = append(out, Drop{Number: h.number, Early: !old})
		over -= h.bytes
	}
	return out
}

// NextWake reports when Step must next be called with a Tick. What is due
// already is said with every Step.
func (l *Log) NextWake() (time.Time, bool) {
	wake := int64(0)
	sooner := func(at int64) {
		if wake == 0 || at < wake {
			wake = at
		}
	}
	if l.begun != 0 {
		sooner(l.begun + int64(l.opt.Span))
	}
	for _, h := range l.held {
		sooner(max(h.until+int64(l.opt.Retention)+1, l.steady+int64(clockJump)))
	}
	return time.Unix(0, wake), wake != 0
}
