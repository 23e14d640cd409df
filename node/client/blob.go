// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"croft/lease"
	"croft/node/api"
)

// part is how much of a blob goes in one request: what is lost at the most when
// a connection breaks.
const part = 4 << 20

// maxRetries bounds how often one part is sent again, each time after a longer
// pause.
const (
	maxRetries = 5
	retryPause = 100 * time.Millisecond
)

// Announce makes room for a blob on the node and says how much of it is there.
func (n *Node) Announce(ctx context.Context, digest lease.Digest, size int64) (api.Blob, error) {
	return n.blob(ctx, "GET", digest, http.Header{api.HeaderSize: {strconv.FormatInt(size, 10)}}, nil)
}

// Fetch has the node get a blob from other nodes; Announce tells how that goes.
func (n *Node) Fetch(ctx context.Context, digest lease.Digest, req api.FetchRequest) (b api.Blob, err error) {
	return b, call(ctx, n.http, "POST", "/v1/blobs/"+digest.String()+"/fetch", req, &b)
}

// Send gives the node a blob unless it has it, going on where an earlier try
// stopped. progress is told the bytes in hand after every part.
func (n *Node) Send(ctx context.Context, digest lease.Digest, size int64, src io.ReaderAt, progress func(have int64)) error {
	return n.send(ctx, digest, size, src, progress, http.Header{api.HeaderSize: {strconv.FormatInt(size, 10)}})
}

// ErrPublic: a blob that was to be private is for other nodes already.
var ErrPublic = errors.New("the node passes it on to others already, as an earlier run or somebody else had it: run it without --private, or elsewhere")

// SendPrivate is Send of a blob that the node does not pass on to others, or ErrPublic
// before a byte is sent.
func (n *Node) SendPrivate(ctx context.Context, digest lease.Digest, size int64, src io.ReaderAt, progress func(have int64)) error {
	return n.send(ctx, digest, size, src, progress, http.Header{api.HeaderSize: {strconv.FormatInt(size, 10)}, api.HeaderPrivate: {"1"}})
}

func (n *Node) send(ctx context.Context, digest lease.Digest, size int64, src io.ReaderAt, progress func(have int64), announce http.Header) error {
	state, err := n.blob(ctx, "GET", digest, announce, nil)
	retries := 0
	if private := announce.Get(api.HeaderPrivate) != ""; err == nil && private && !state.Private {
		return fmt.Errorf("sending %s: %w", digest, ErrPublic)
	}
	for err == nil && !state.Done {
		progress(state.Have)
		length := min(part, size-state.Have)
		head := http.Header{
			api.HeaderOffset: {strconv.FormatInt(state.Have, 10)},
			api.HeaderSize:   {strconv.FormatInt(size, 10)},
		}
		next, sendErr := n.blob(ctx, "PATCH", digest, head, io.NewSectionReader(src, state.Have, length))
		if sendErr == nil && (next.Done || next.Have > state.Have) {
			state, retries = next, 0
			continue
		}
		if retries++; retries > maxRetries || ctx.Err() != nil || final(sendErr) {
			return fmt.Errorf("sending %s at byte %d of %d: %w", digest, state.Have, size, errors.Join(sendErr, ctx.Err()))
		}
		// Another caller may be sending the same blob: let it, and look again.
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(retries) * retryPause):
		}
		before := state.Have
		if state, err = n.blob(ctx, "GET", digest, announce, nil); state.Have > before {
			retries = 0
		}
	}
	if err == nil {
		progress(size)
	}
	return err
}

// final reports that the same bytes would be refused again.
func final(err error) bool {
	var p *Problem
	return errors.As(err, &p) && p.Status != http.StatusConflict && p.Status != http.StatusTooManyRequests
}

func (n *Node) blob(ctx context.Context, method string, digest lease.Digest, head http.Header, body io.Reader) (b api.Blob, err error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://node/v1/blobs/"+digest.String(), body)
	if err != nil {
		return b, err
	}
	for k, v := range head {
		req.Header[k] = v
	}
	resp, err := do(n.http, req)
	if err != nil {
		return b, err
	}
	defer resp.Body.Close()
	return b, json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&b)
}
