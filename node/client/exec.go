// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"

	"croft/node/api"
	"croft/sandbox"
)

// Exec runs a command in a sliver and returns its exit status. It ends when the
// command does, or with ctx; stdio.In may stay blocked in a read until then.
func (n *Node) Exec(ctx context.Context, sliver string, cmd sandbox.Exec, stdio sandbox.IO) (int, error) {
	head, err := json.Marshal(cmd)
	if err != nil {
		return 0, err
	}
	raw, err := n.dial(ctx)
	if err != nil {
		return 0, err
	}
	defer raw.Close()
	heads := http.Header{api.HeaderExec: {string(head)}}
	if n.authority != "" {
		heads.Set(api.HeaderAuthority, n.authority)
	}
	conn, err := upgrade(ctx, raw, "/v1/slivers/"+url.PathEscape(sliver)+"/exec", "croft-exec", heads)
	if err != nil {
		return 0, n.ended(ctx, err)
	}
	defer context.AfterFunc(ctx, func() { raw.Close() })()
	send := &sender{conn: conn}
	if stdio.In != nil {
		go send.stdin(stdio.In) // ends with the connection, or with the reader
	} else if err := send.frame(api.FrameStdin, nil); err != nil {
		return 0, n.ended(ctx, err)
	}
	if stdio.Resize != nil {
		go send.resizes(ctx, stdio.Resize)
	}
	status, err := receive(conn, stdio)
	if err = n.ended(ctx, err); err != nil && ctx.Err() != nil {
		err = ctx.Err() // what broke off was broken off by the caller
	}
	return status, err
}

// receive copies output until the last frame.
func receive(conn net.Conn, stdio sandbox.IO) (int, error) {
	for {
		kind, payload, err := api.ReadFrame(conn)
		if err != nil {
			return 0, err
		}
		switch kind {
		case api.FrameStdout:
			err = write(stdio.Out, payload)
		case api.FrameStderr:
			err = write(stdio.Err, payload)
		case api.FrameExit:
			if len(payload) != 4 {
				return 0, api.ErrFrame
			}
			return int(int32(binary.BigEndian.Uint32(payload))), nil
		case api.FrameError:
			return 0, parseProblem(http.StatusInternalServerError, payload)
		}
		if err != nil {
			return 0, err
		}
	}
}

func write(w io.Writer, p []byte) error {
	if w == nil {
		return nil
	}
	_, err := w.Write(p)
	return err
}

type sender struct {
	mu   sync.Mutex
	conn net.Conn
}

func (s *sender) frame(kind api.FrameKind, p []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return api.WriteFrame(s.conn, kind, p)
}

func (s *sender) stdin(r io.Reader) {
	buf := make([]byte, api.MaxFrame)
	for {
		n, err := r.Read(buf)
		if n > 0 && s.frame(api.FrameStdin, buf[:n]) != nil {
			return
		}
		if err != nil {
			_ = s.frame(api.FrameStdin, nil) // a closed session needs no end of input
			return
		}
	}
}

func (s *sender) resizes(ctx context.Context, sizes <-chan sandbox.Size) {
	for {
		select {
		case <-ctx.Done():
			return
		case size, ok := <-sizes:
			if !ok {
				return
			}
			p := binary.BigEndian.AppendUint16(nil, size.Cols)
			if s.frame(api.FrameResize, binary.BigEndian.AppendUint16(p, size.Rows)) != nil {
				return
			}
		}
	}
}
