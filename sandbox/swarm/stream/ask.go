// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/libp2p/go-libp2p/core/network"

	"croft/lease"
	"croft/sandbox/swarm"
)

// ask puts one question to a node and returns the answer, at most limit bytes. It tells
// now and then that more of it came.
func (x *Exchange) ask(ctx context.Context, node lease.Principal, q swarm.Question, limit int, moved func()) ([]byte, error) {
	id, err := peerOf(node)
	if err != nil {
		return nil, err
	}
	if x.cfg.Host.Network().Connectedness(id) != network.Connected && x.cfg.Locate != nil {
		x.cfg.Locate(ctx, node)
	}
	s, err := x.cfg.Host.NewStream(ctx, id, Protocol)
	if err != nil {
		return nil, fmt.Errorf("reaching node %s: %w", node.Short(), err)
	}
	defer s.Reset() // after a whole answer it does nothing
	stop := context.AfterFunc(ctx, func() { _ = s.Reset() })
	defer stop()
	if _, err := s.Write(q.Bytes()); err != nil {
		return nil, fmt.Errorf("asking node %s: %w", node.Short(), err)
	}
	head := make([]byte, 5)
	if _, err := io.ReadFull(s, head[:1]); err != nil {
		return nil, fmt.Errorf("asking node %s: %w", node.Short(), errors.Join(err, ctx.Err()))
	}
	switch swarm.Status(head[0]) {
	case swarm.OK:
	case swarm.Unknown:
		return nil, swarm.ErrUnknown
	case swarm.Busy:
		return nil, swarm.ErrBusy
	default:
		return nil, swarm.ErrMessage
	}
	if _, err := io.ReadFull(s, head[1:]); err != nil {
		return nil, fmt.Errorf("hearing node %s: %w", node.Short(), errors.Join(err, ctx.Err()))
	}
	n := binary.BigEndian.Uint32(head[1:])
	if int64(n) > int64(limit) {
		return nil, fmt.Errorf("an answer of %d bytes, at most %d: %w", n, limit, swarm.ErrMessage)
	}
	body := make([]byte, n)
	told := time.Now()
	for rest := body; len(rest) > 0; {
		m, err := io.ReadFull(s, rest[:min(len(rest), chunk)])
		if err != nil {
			return nil, fmt.Errorf("hearing node %s: %w", node.Short(), errors.Join(err, ctx.Err()))
		}
		if rest = rest[m:]; len(rest) > 0 && time.Since(told) > movedEvery {
			moved()
			told = time.Now()
		}
	}
	return body, nil
}

// reason is an error as it is counted and told.
func reason(err error) string {
	switch {
	case errors.Is(err, swarm.ErrUnknown):
		return "has none"
	case errors.Is(err, swarm.ErrBusy):
		return "busy"
	case errors.Is(err, swarm.ErrMessage):
		return "not understood"
	case errors.Is(err, context.DeadlineExceeded):
		return "was silent"
	}
	return "not reached"
}
