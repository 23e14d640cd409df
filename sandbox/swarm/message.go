// SPDX-License-Identifier: Apache-2.0

package swarm

import (
	"encoding/binary"
	"fmt"

	"croft/lease"
)

// Kind is what a question is about.
type Kind uint8

// The kinds. One question and its answer are one stream: docs/protocol/images.md.
const (
	AskHolding Kind = 1 // what is there
	AskSums    Kind = 2 // the sums of a blob that is whole there
	AskPiece   Kind = 3 // the bytes of a piece
)

// Status begins every answer.
type Status uint8

// The statuses.
const (
	OK      Status = 0
	Unknown Status = 1 // no such blob or piece, or not for others
	Busy    Status = 2 // asked too much at once: later
)

// Question is what one node asks another. It is QuestionSize bytes.
type Question struct {
	Kind   Kind
	Digest lease.Digest

	// Arg is the number of a piece; for AskHolding how many pieces the asker knows
	// of already: an answer waits for more, up to WaitWithin.
	Arg uint32
}

// QuestionSize is the size in bytes of a question.
const QuestionSize = 1 + 32 + 4

// Bytes writes a question.
func (q Question) Bytes() []byte {
	b := append([]byte{byte(q.Kind)}, q.Digest[:]...)
	return binary.BigEndian.AppendUint32(b, q.Arg)
}

// ParseQuestion reads a question.
func ParseQuestion(b []byte) (q Question, err error) {
	if len(b) != QuestionSize || b[0] < byte(AskHolding) || b[0] > byte(AskPiece) {
		return q, fmt.Errorf("question of %d bytes: %w", len(b), ErrMessage)
	}
	q.Kind, q.Arg = Kind(b[0]), binary.BigEndian.Uint32(b[33:])
	copy(q.Digest[:], b[1:])
	return q, nil
}

// Holding is what a node has of a blob.
type Holding struct {
	Size   int64
	Whole  bool
	Pieces Set               // judged by sums and to be had; of a whole blob nothing
	Others []lease.Principal // who asked it lately, and so may have some, at most MaxOthers
}

// MaxHolding is the size in bytes of the longest holding.
const MaxHolding = 8 + 1 + 2 + MaxPieces/8 + 1 + MaxOthers*32

// Bytes writes a holding.
func (h Holding) Bytes() []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(h.Size))
	whole := byte(0)
	if h.Whole {
		whole = 1
	}
	b = append(b, whole)
	b = binary.BigEndian.AppendUint16(b, uint16(len(h.Pieces)))
	b = append(b, h.Pieces...)
	b = append(b, byte(len(h.Others)))
	for _, p := range h.Others {
		b = append(b, p[:]...)
	}
	return b
}

// ParseHolding reads what a node says that it has of a blob of size bytes.
func ParseHolding(b []byte, size int64) (h Holding, err error) {
	bad := func(why string) (Holding, error) { return Holding{}, fmt.Errorf("holding: %s: %w", why, ErrMessage) }
	if len(b) < 12 || len(b) > MaxHolding {
		return bad("its length")
	}
	h.Size, h.Whole = int64(binary.BigEndian.Uint64(b)), b[8] == 1
	n := int(binary.BigEndian.Uint16(b[9:]))
	rest := b[11:]
	switch {
	case h.Size != size:
		return bad("of a blob of another size")
	case b[8] > 1 || len(rest) < n+1:
		return bad("its pieces")
	case h.Whole && n != 0, !h.Whole && !Set(rest[:n]).Fits(Count(size)):
		return bad("its pieces")
	}
	if n > 0 {
		h.Pieces = Set(append([]byte(nil), rest[:n]...))
	}
	others := int(rest[n])
	rest = rest[n+1:]
	if others > MaxOthers || len(rest) != others*32 {
		return bad("the others")
	}
	for i := range others {
		h.Others = append(h.Others, lease.Principal(rest[i*32:]))
	}
	return h, nil
}
