// SPDX-License-Identifier: Apache-2.0

package swarm_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"reflect"
	"testing"

	"croft/lease"
	"croft/sandbox/swarm"
)

func TestPieces(t *testing.T) {
	for _, size := range []int64{1, swarm.MinPiece, swarm.MinPiece + 1, swarm.MinPiece*swarm.MaxPieces + 1, 8 << 30} {
		n := swarm.Count(size)
		if offset, length := swarm.Span(size, n-1); n > swarm.MaxPieces || offset+length != size || length <= 0 {
			t.Errorf("%d bytes: %d pieces, the last from %d on, %d bytes", size, n, offset, length)
		}
	}
	blob := bytes.Repeat([]byte("croft"), swarm.MinPiece/3)
	sums, digest, err := swarm.Sum(bytes.NewReader(blob), int64(len(blob)))
	if err != nil || digest != sha256.Sum256(blob) || sums.Check(int64(len(blob))) != nil {
		t.Fatalf("%s, %v", digest, err)
	}
	if !sums.Holds(1, blob[swarm.MinPiece:]) || sums.Holds(0, blob[swarm.MinPiece:]) || sums.Holds(2, nil) || sums.Holds(-1, nil) {
		t.Error("a piece is judged wrongly")
	}
	if err := sums.Check(int64(len(blob)) + swarm.MinPiece); !errors.Is(err, swarm.ErrSums) {
		t.Errorf("sums of another size: %v", err)
	}
	if _, _, err := swarm.Sum(bytes.NewReader(blob), int64(len(blob))+1); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a blob that is shorter: %v", err)
	}
}

// Whatever size is announced, cutting it ends, within the bound.
func FuzzPieces(f *testing.F) {
	for _, size := range []int64{0, 1, swarm.MinPiece * swarm.MaxPieces, 1<<62 + 1, 1<<63 - 1, -1 << 63} {
		f.Add(size)
	}
	f.Fuzz(func(t *testing.T, size int64) {
		n := swarm.Count(size)
		if n < 0 || n > swarm.MaxPieces || (n == 0) != (size <= 0) {
			t.Fatalf("%d bytes are %d pieces", size, n)
		}
		if n == 0 {
			return
		}
		if offset, length := swarm.Span(size, n-1); offset < 0 || length <= 0 || offset+length != size {
			t.Errorf("the last of %d bytes is %d from %d on", size, length, offset)
		}
	})
}

func FuzzHolding(f *testing.F) {
	const size = 9*swarm.MinPiece + 1
	set := swarm.NewSet(10)
	set.Add(9)
	f.Add(swarm.Holding{Size: size, Pieces: set, Others: []lease.Principal{{1}, {2}}}.Bytes())
	f.Add(swarm.Holding{Size: size, Whole: true}.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := swarm.ParseHolding(b, size)
		if err != nil {
			if !errors.Is(err, swarm.ErrMessage) {
				t.Error(err)
			}
			return
		}
		if got := h.Bytes(); !bytes.Equal(got, b) {
			t.Errorf("%x, read %x", got, b)
		}
		if h.Pieces.Len() > 10 || len(h.Others) > swarm.MaxOthers {
			t.Errorf("%+v", h)
		}
	})
}

func FuzzQuestion(f *testing.F) {
	f.Add(swarm.Question{Kind: swarm.AskPiece, Digest: lease.Digest{1}, Arg: 7}.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		q, err := swarm.ParseQuestion(b)
		if err == nil && !bytes.Equal(q.Bytes(), b) {
			t.Errorf("%x, read %x", q.Bytes(), b)
		}
	})
}

func TestHoldingIsRead(t *testing.T) {
	want := swarm.Holding{Size: 3 * swarm.MinPiece, Pieces: swarm.Set{0b101}, Others: []lease.Principal{{7}}}
	got, err := swarm.ParseHolding(want.Bytes(), want.Size)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	for name, h := range map[string]swarm.Holding{
		"another size":     {Size: 1, Pieces: swarm.Set{1}},
		"too many pieces":  {Size: want.Size, Pieces: swarm.Set{0xff}},
		"too long":         {Size: want.Size, Pieces: swarm.Set{1, 0}},
		"whole and pieces": {Size: want.Size, Whole: true, Pieces: swarm.Set{1}},
		"too many others":  {Size: want.Size, Pieces: swarm.Set{1}, Others: make([]lease.Principal, swarm.MaxOthers+1)},
	} {
		if got, err := swarm.ParseHolding(h.Bytes(), want.Size); !errors.Is(err, swarm.ErrMessage) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}
