// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"fmt"

	"croft/lease"
	"croft/sandbox"
)

// ErrRecord says that a journal holds what no machine of this core wrote.
var ErrRecord = errors.New("unknown record")

// The first byte of a record says whose fact it is.
const (
	recordLedger  = 'l'
	recordSlivers = 's'
)

// Journal keeps records durably, in order.
type Journal interface {
	// Append returns once the records will survive a crash. After an error
	// nothing is known of them: the core that wrote them is to be rebuilt.
	Append(records ...[]byte) error
	// AppendClosing is Append for records that [Ends] names; on a full disk it
	// uses the room that was set aside.
	AppendClosing(records ...[]byte) error
	// Snapshot replaces everything before with records, atomically.
	Snapshot(records [][]byte) error
}

// Record returns the record of an effect that is a fact.
func Record(effect Effect) ([]byte, bool) {
	switch f := effect.(type) {
	case lease.Fact:
		return append([]byte{recordLedger}, f.Record()...), true
	case sandbox.Fact:
		return append([]byte{recordSlivers}, f.Record()...), true
	}
	return nil, false
}

// Ends reports whether a fact grants nothing new: it ends what was granted, or
// gives a place to a sliver whose lease is in the books already. Such facts may
// use the room on a full disk that is set aside for them.
func Ends(effect Effect) bool {
	switch f := effect.(type) {
	case lease.Fact:
		return f.Ends()
	case sandbox.Fact:
		return f.Kind == sandbox.FactFreed || f.Kind == sandbox.FactPlaced
	}
	return false
}

// Last returns the latest instant (Unix seconds) in the records that were
// restored: the ledger's time never goes behind it.
func (c *Core) Last() int64 { return c.last }

// Records returns a shorter history of the same state, for a snapshot.
func (c *Core) Records() [][]byte {
	var records [][]byte
	add := func(e Effect) {
		if r, ok := Record(e); ok {
			records = append(records, r)
		}
	}
	for _, f := range c.ledger.Facts() {
		add(f)
	}
	for _, f := range c.slivers.Facts() {
		add(f)
	}
	return records
}

// Restore takes one record of an earlier run. It calls no signer, no policy and
// no randomness.
func (c *Core) Restore(record []byte) error {
	if len(record) == 0 {
		return fmt.Errorf("empty: %w", ErrRecord)
	}
	switch record[0] {
	case recordLedger:
		f, err := lease.ParseFact(record[1:])
		if err != nil {
			return fmt.Errorf("ledger's record: %w", err)
		}
		c.last = max(c.last, f.At)
		return c.ledger.Restore(f)
	case recordSlivers:
		f, err := sandbox.ParseFact(record[1:])
		if err != nil {
			return fmt.Errorf("lifecycle's record: %w", err)
		}
		c.last = max(c.last, f.At) // its lease had begun by then, and must not begin again
		return c.slivers.Restore(f)
	}
	return fmt.Errorf("mark %#x: %w", record[0], ErrRecord)
}
