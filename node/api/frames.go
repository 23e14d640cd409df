// SPDX-License-Identifier: Apache-2.0

package api

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// An exec session is one connection in frames: kind (1 byte), length (4 bytes,
// big endian), payload. Frames of one kind are a stream in order.
type FrameKind uint8

const (
	FrameStdin  FrameKind = 0 // caller → sliver; empty: end of input
	FrameStdout FrameKind = 1
	FrameStderr FrameKind = 2
	FrameResize FrameKind = 3 // columns and rows, 2 bytes each
	FrameExit   FrameKind = 4 // exit status, 4 bytes; the last frame
	FrameError  FrameKind = 5 // a problem document; the last frame
)

// MaxFrame bounds a payload: small enough that a keystroke never waits long
// behind bulk output, large enough that the header is noise.
const MaxFrame = 32 << 10

// ErrFrame says that the other side does not speak this framing.
var ErrFrame = errors.New("malformed exec frame")

// WriteFrame writes one frame. Callers serialise their writes.
func WriteFrame(w io.Writer, kind FrameKind, payload []byte) error {
	if len(payload) > MaxFrame {
		return fmt.Errorf("%d bytes, limit %d: %w", len(payload), MaxFrame, ErrFrame)
	}
	buf := make([]byte, 5, 5+len(payload))
	buf[0] = byte(kind)
	binary.BigEndian.PutUint32(buf[1:], uint32(len(payload)))
	_, err := w.Write(append(buf, payload...))
	return err
}

// ReadFrame reads one frame; io.EOF means a clean end between frames.
func ReadFrame(r io.Reader) (FrameKind, []byte, error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	n := binary.BigEndian.Uint32(head[1:])
	if n > MaxFrame || head[0] > byte(FrameError) {
		return 0, nil, fmt.Errorf("kind %d of %d bytes: %w", head[0], n, ErrFrame)
	}
	payload := make([]byte, n)
	if _, err := io.ReadFull(r, payload); err != nil {
		return 0, nil, fmt.Errorf("in the middle of a frame: %w", io.ErrUnexpectedEOF)
	}
	return FrameKind(head[0]), payload, nil
}
