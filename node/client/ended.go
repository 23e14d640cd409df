// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"

	"croft/node/api"
)

// ended makes of a channel that broke what it is: the node cannot be reached just
// now. A relayed connection ends after its quota, and any with the way in; the next
// call opens another. An error of the caller's own stays as it is.
func (n *Node) ended(ctx context.Context, err error) error {
	for _, end := range []error{io.EOF, io.ErrUnexpectedEOF, io.ErrClosedPipe, net.ErrClosed, syscall.ECONNRESET, syscall.EPIPE} {
		if errors.Is(err, end) && ctx.Err() == nil {
			return fmt.Errorf("the channel to %s ended before the answer did: %w: %w", n.Principal.Short(), api.ErrUnreachable, err)
		}
	}
	return err
}

// answer is the body of an answer, whose end is told from that of the channel.
type answer struct {
	io.ReadCloser
	node *Node
	ctx  context.Context
}

func (a answer) Read(b []byte) (int, error) {
	n, err := a.ReadCloser.Read(b)
	if err != nil && err != io.EOF {
		err = a.node.ended(a.ctx, err)
	}
	return n, err
}

func (s showing) RoundTrip(r *http.Request) (*http.Response, error) {
	if s.node.authority != "" {
		r = r.Clone(r.Context())
		r.Header.Set(api.HeaderAuthority, s.node.authority)
	}
	resp, err := s.Transport.RoundTrip(r)
	if err != nil {
		return nil, s.node.ended(r.Context(), err)
	}
	resp.Body = answer{resp.Body, s.node, r.Context()}
	return resp, nil
}
