// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"bytes"
	"errors"
	"testing"
)

// Whatever stands behind the header: no panic, and what is read is exactly what
// is written in the bytes up to the end that is reported.
func FuzzReplay(f *testing.F) {
	file, _, _ := sample(f)
	h, err := decodeHeader(file)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(file[headerSize:], uint64(1), false)
	f.Add(file[headerSize:], uint64(2), false)
	f.Add(file[headerSize:len(file)-3], uint64(0), false)
	f.Add([]byte("\x02\x01a\x00"), uint64(0), true)
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f"), uint64(1), true)
	f.Fuzz(func(t *testing.T, body []byte, snapshot uint64, sealed bool) {
		h := h
		h.snapshot = snapshot
		if sealed && len(body) > 0 && len(body) <= MaxBatch {
			// The body as payload of a frame that checks.
			b := append(make([]byte, frameHead), body...)
			framer{salt: h.salt}.seal(b, 0)
			body = b
		}
		b := append(h.encode(), body...)
		r, err := replay(b)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatalf("unexpected error: %v", err)
			}
			return
		}
		if r.frames < snapshot || r.end > int64(len(b)) {
			t.Fatalf("%d frames of %d, end %d of %d", r.frames, snapshot, r.end, len(b))
		}
		again, err := replay(b[:r.end])
		if err != nil || !equal(again.records, r.records) || again.end != r.end {
			t.Fatalf("the whole part reads differently by itself: %v", err)
		}
		if r.last != nil && !bytes.Equal(r.last, b[r.lastAt:r.end]) {
			t.Fatal("last frame is not where it is said to be")
		}
	})
}

func FuzzHeader(f *testing.F) {
	f.Add(header{generation: 3, snapshot: 1}.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, err := decodeHeader(b); err == nil && !bytes.Equal(h.encode()[12:], b[12:headerSize]) {
			t.Fatalf("%+v does not encode to what it was read from", h)
		}
	})
}
