// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"croft/lease"
	"croft/node/wire"
	"croft/sandbox"
)

// The routes below carry bytes, not JSON: a pipe and an exec session take the
// connection over after 101, logs and blobs stream.

const (
	upgradePipe = "croft-pipe"
	upgradeExec = "croft-exec"

	// HeaderExec carries a sandbox.Exec in JSON, at most maxExec bytes.
	HeaderExec = "Croft-Exec"
	maxExec    = 16 << 10

	// HeaderOffset and HeaderSize place a part of a blob.
	HeaderOffset = "Croft-Offset"
	HeaderSize   = "Croft-Size"

	// HeaderPrivate marks a blob that is not for other nodes.
	HeaderPrivate = "Croft-Private"
)

// pipe joins the caller's connection to a node. This side reads nothing of what
// passes.
func pipe(o Owner) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		node, err := lease.ParsePrincipal(r.PathValue("node"))
		if err != nil {
			Fail(w, fmt.Errorf("%w: %w", ErrBadRequest, err))
			return
		}
		if !wants(w, r, upgradePipe) {
			return
		}
		far, err := o.Pipe(r.Context(), node)
		if err != nil {
			Fail(w, err)
			return
		}
		defer far.Close()
		near, err := takeOver(w, upgradePipe)
		if err != nil {
			return
		}
		_ = wire.Splice(r.Context(), near, far, wire.NoIdle) // an end is an end, whoever made it
	})
}

func exec(s Slivers) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var cmd sandbox.Exec
		head := r.Header.Get(HeaderExec)
		if len(head) > maxExec || json.Unmarshal([]byte(head), &cmd) != nil {
			Fail(w, fmt.Errorf("%w: %s wants a command in JSON, at most %d bytes", ErrBadRequest, HeaderExec, maxExec))
			return
		}
		if err := cmd.Check(); err != nil {
			Fail(w, fmt.Errorf("%w: %w", ErrBadRequest, err))
			return
		}
		if !wants(w, r, upgradeExec) {
			return
		}
		conn, err := takeOver(w, upgradeExec)
		if err != nil {
			return
		}
		defer conn.Close()
		serveExec(r, s, cmd, conn)
	})
}

// serveExec runs one session on a connection in frames. When the caller goes,
// its standard input ends and the command with it; so it does when the node
// stops.
func serveExec(r *http.Request, s Slivers, cmd sandbox.Exec, conn net.Conn) {
	out := &frameWriter{w: conn}
	inR, inW := io.Pipe()
	resize := make(chan sandbox.Size, 1)
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(ctx, func() { conn.Close() })() // also for a caller who reads no more
	var wg sync.WaitGroup
	wg.Go(func() {
		defer cancel()
		defer inW.Close()
		readInput(conn, inW, resize)
	})
	wg.Go(func() {
		defer cancel()
		pulse(ctx, out)
	})
	status, err := s.Exec(ctx, caller(r.Context()), r.PathValue("sliver"), cmd, sandbox.IO{
		In: inR, Out: out.stream(FrameStdout), Err: out.stream(FrameStderr), Resize: resize,
	})
	if err != nil {
		_ = out.write(FrameError, problemDocument(err))
	} else {
		_ = out.write(FrameExit, binary.BigEndian.AppendUint32(nil, uint32(status)))
	}
	inR.CloseWithError(io.ErrClosedPipe)
	conn.Close()
	cancel()
	wg.Wait()
}

// pulse finds out that a caller is gone whose input nobody reads: a command that
// takes none leaves readInput waiting, and so nobody reads the connection. It
// ends when nothing can be written any more, or with ctx.
func pulse(ctx context.Context, out *frameWriter) {
	tick := time.NewTicker(patience)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if out.write(FrameStdout, nil) != nil {
				return
			}
		}
	}
}

// readInput feeds frames from the caller until it goes. The end of input leaves
// the session open for output.
func readInput(conn io.Reader, stdin *io.PipeWriter, resize chan sandbox.Size) {
	for {
		kind, payload, err := ReadFrame(conn)
		if err != nil {
			return
		}
		switch {
		case kind == FrameStdin && len(payload) == 0:
			stdin.Close()
		case kind == FrameStdin:
			_, _ = stdin.Write(payload) // a command that reads no more is not an error
		case kind == FrameResize && len(payload) == 4:
			size := sandbox.Size{Cols: binary.BigEndian.Uint16(payload), Rows: binary.BigEndian.Uint16(payload[2:])}
			select { // only the newest size matters
			case <-resize:
			default:
			}
			resize <- size
		}
	}
}

func logs(s Slivers) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tail := 0
		if v := r.URL.Query().Get("tail"); v != "" {
			n, err := strconv.Atoi(v)
			if err != nil || n < 0 {
				Fail(w, fmt.Errorf("%w: tail wants a number of lines", ErrBadRequest))
				return
			}
			tail = n
		}
		opt := sandbox.LogOptions{Follow: r.URL.Query().Get("follow") == "1", Tail: tail}
		if err := wait(w, time.Time{}, time.Time{}); err != nil { // a log may say nothing for a day
			Fail(w, err)
			return
		}
		out := &flushWriter{w: w, started: func() { w.Header().Set("Content-Type", "text/plain; charset=utf-8") }}
		err := s.Logs(r.Context(), caller(r.Context()), r.PathValue("sliver"), opt, out)
		if err != nil && !out.wrote {
			Fail(w, err)
		}
	})
}

func blobState(b Blobs) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		digest, err := lease.ParseDigest(r.PathValue("digest"))
		size, err1 := strconv.ParseInt(r.Header.Get(HeaderSize), 10, 64)
		if err := errors.Join(err, err1); err != nil || size <= 0 {
			Fail(w, fmt.Errorf("%w: want a digest and %s", ErrBadRequest, HeaderSize))
			return
		}
		state, err := b.Blob(r.Context(), caller(r.Context()), digest, size, r.Header.Get(HeaderPrivate) == "1")
		answer(w, state, err)
	})
}

func blobAppend(b Blobs) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		digest, err := lease.ParseDigest(r.PathValue("digest"))
		offset, err1 := strconv.ParseInt(r.Header.Get(HeaderOffset), 10, 64)
		size, err2 := strconv.ParseInt(r.Header.Get(HeaderSize), 10, 64)
		if err := errors.Join(err, err1, err2); err != nil || offset < 0 || size < offset {
			Fail(w, fmt.Errorf("%w: want a digest, %s and %s", ErrBadRequest, HeaderOffset, HeaderSize))
			return
		}
		body := &patient{w: w, r: http.MaxBytesReader(w, r.Body, size-offset)}
		state, err := b.Append(r.Context(), caller(r.Context()), digest, offset, size, body)
		answer(w, state, err)
	})
}

// patient reads a body as long as it does not stall. When all has come, it is the
// caller who waits, until the whole blob has been checked.
type patient struct {
	w http.ResponseWriter
	r io.Reader
}

func (p *patient) Read(b []byte) (int, error) {
	now := time.Now()
	if err := wait(p.w, now.Add(patience), now.Add(answerLimit)); err != nil {
		return 0, err
	}
	n, err := p.r.Read(b)
	if err == io.EOF {
		if err := wait(p.w, time.Time{}, now.Add(checkLimit)); err != nil {
			return n, err
		}
	}
	return n, err
}
