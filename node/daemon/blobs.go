// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"

	"croft/lease"
	"croft/node/api"
	"croft/sandbox/image"
)

// maxUploads bounds how many parts are written at once: more would only share
// one disk.
const maxUploads = 16

// blobs takes blobs from callers. A digest is all that it takes to use one.
type blobs struct {
	d     *Daemon
	slots chan struct{}
}

func (b blobs) Blob(ctx context.Context, _ lease.Principal, digest lease.Digest) (api.Blob, error) {
	if b.d.deps.Hosting == nil {
		return api.Blob{}, api.ErrVisitor
	}
	have, done, err := b.d.deps.Hosting.Blobs.State(ctx, digest)
	return api.Blob{Digest: digest, Have: have, Done: done}, blobError(err)
}

func (b blobs) Append(ctx context.Context, _ lease.Principal, digest lease.Digest, offset, size int64, r io.Reader) (api.Blob, error) {
	if b.d.deps.Hosting == nil {
		return api.Blob{}, api.ErrVisitor
	}
	select {
	case b.slots <- struct{}{}:
		defer func() { <-b.slots }()
	default:
		return api.Blob{}, api.ErrBusy
	}
	have, done, err := b.d.deps.Hosting.Blobs.Append(ctx, digest, offset, size, r)
	return api.Blob{Digest: digest, Size: size, Have: have, Done: done}, blobError(err)
}

func blobError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, image.ErrQuota), errors.Is(err, image.ErrFull):
		return fmt.Errorf("%w: %w", api.ErrQuota, err)
	case errors.Is(err, image.ErrOffset):
		return fmt.Errorf("%w: %w", api.ErrOffset, err)
	case errors.Is(err, image.ErrDigest), errors.Is(err, image.ErrSize):
		return fmt.Errorf("%w: %w", api.ErrBadRequest, err)
	}
	return err
}
