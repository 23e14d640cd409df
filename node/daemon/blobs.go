// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"croft/lease"
	"croft/node/api"
	"croft/sandbox"
	"croft/sandbox/image"
)

// blobs takes blobs from callers. A digest is all that it takes to use one.
type blobs struct {
	d     *Daemon
	slots chan struct{}
	*fetches
}

// leased refuses callers to whom the node owes nothing: anybody else could fill
// the quota with what no lease will ever run.
func (b blobs) leased(ctx context.Context, by api.Caller) error {
	if b.d.deps.Hosting == nil {
		return api.ErrVisitor
	}
	ok, err := look(ctx, b.d, func(l *lease.Ledger) bool {
		return slices.ContainsFunc(l.Holder(by.Principal), func(e lease.Entry) bool { return e.State.Live() })
	})
	if err == nil && !ok {
		err = api.ErrNoLease
	}
	return err
}

func (b blobs) Blob(ctx context.Context, by api.Caller, digest lease.Digest, size int64, private bool) (api.Blob, error) {
	if err := b.leased(ctx, by); err != nil {
		return api.Blob{}, err
	}
	store := b.d.deps.Hosting.Blobs
	if size, ok := store.Has(digest); ok {
		return api.Blob{Digest: digest, Size: size, Have: size, Done: true, Private: store.Private(digest)}, nil
	}
	have, err := store.Begin(digest, size)
	state := api.Blob{Digest: digest, Size: size, Have: have, Private: store.Private(digest), Fetch: b.fetches.state(digest)}
	if private && err == nil {
		state.Private, err = store.Keep(digest)
	}
	return state, blobError(err)
}

// Append writes one part. What arrived of a part that broke off stays.
func (b blobs) Append(ctx context.Context, by api.Caller, digest lease.Digest, offset, size int64, r io.Reader) (api.Blob, error) {
	state := api.Blob{Digest: digest, Size: size, Have: offset}
	if err := b.leased(ctx, by); err != nil {
		return state, err
	}
	select {
	case b.slots <- struct{}{}:
		defer func() { <-b.slots }()
	default:
		return state, api.ErrBusy
	}
	store := b.d.deps.Hosting.Blobs
	buf := make([]byte, piece)
	for {
		n, err := io.ReadFull(r, buf)
		if n > 0 {
			next, err := store.Append(digest, offset, buf[:n])
			if err != nil {
				return state, blobError(err)
			}
			offset, state.Have = offset+int64(n), next
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			return state, fmt.Errorf("%w: the part broke off: %w", api.ErrBadRequest, err)
		}
	}
	if state.Have < size {
		return state, nil
	}
	err := store.Finish(ctx, digest)
	state.Done = err == nil
	return state, blobError(err)
}

func blobError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sandbox.ErrNoSpace):
		return fmt.Errorf("%w: %w", api.ErrQuota, err)
	case errors.Is(err, sandbox.ErrBusy):
		return fmt.Errorf("%w: %w", api.ErrBusy, err)
	case errors.Is(err, image.ErrOffset), errors.Is(err, image.ErrUnknown): // another caller was faster: look again
		return fmt.Errorf("%w: %w", api.ErrOffset, err)
	case errors.Is(err, image.ErrDigest), errors.Is(err, image.ErrSize):
		return fmt.Errorf("%w: %w", api.ErrBadRequest, err)
	}
	return err
}
