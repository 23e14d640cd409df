// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"croft/lease"
	"croft/node/release"
	"croft/sandbox/swarm/stream"
)

const nonBlock = unix.O_NONBLOCK | unix.O_CLOEXEC

// openBlob is a store that lets blobs be read.
type openBlob interface {
	Open(lease.Digest) (*os.File, error)
}

// bring gets the bytes of a build: from a file, or from other nodes by their digest.
func (u *updater) bring(ctx context.Context, k release.Kept, binary string) (io.ReadCloser, error) {
	if binary != "" {
		f, st, err := openRegular(binary)
		if err == nil && st.Size() != k.Size {
			err = errors.Join(fmt.Errorf("%s has %d bytes, and the build of release %s has %d", binary, st.Size(), k.Version, k.Size), f.Close())
		}
		if err != nil {
			return nil, err
		}
		return f, nil
	}
	host := u.d.deps.Hosting
	if host == nil || host.Swarm == nil {
		return nil, fmt.Errorf("a visitor gets nothing from other nodes: name the build's file")
	}
	store, ok := host.Blobs.(openBlob)
	if !ok {
		return nil, fmt.Errorf("this node's store lets nothing be read: %w", errors.ErrUnsupported)
	}
	if _, ok := host.Blobs.Has(k.Digest); !ok {
		ctx, cancel := context.WithTimeout(ctx, updateFetchLimit)
		defer cancel()
		u.mu.Lock()
		among := u.from.answer.Holders
		u.mu.Unlock()
		i := images{d: u.d, digest: k.Digest, size: k.Size, among: among}
		if err := host.Swarm.Fetch(ctx, stream.Want{Digest: k.Digest, Size: k.Size, Named: among, More: i.holders}, func(int, int, int) {}); err != nil {
			return nil, fmt.Errorf("getting the build of release %s from other nodes: %w", k.Version, err)
		}
	}
	return store.Open(k.Digest)
}

// share puts a build among the blobs, so that other nodes can have it from here.
func (u *updater) share(ctx context.Context, k release.Kept) {
	host := u.d.deps.Hosting
	if host == nil {
		return
	}
	if _, ok := host.Blobs.Has(k.Digest); ok {
		return
	}
	err := func() error {
		f, err := os.Open(u.shelf.Path(k))
		if err != nil {
			return err
		}
		defer f.Close()
		at, err := host.Blobs.Begin(k.Digest, k.Size)
		if err != nil {
			return err
		}
		buf := make([]byte, 1<<20)
		for at < k.Size && ctx.Err() == nil {
			n, err := f.ReadAt(buf, at)
			if n == 0 {
				return err
			}
			if at, err = host.Blobs.Append(k.Digest, at, buf[:n]); err != nil {
				return err
			}
		}
		return host.Blobs.Finish(ctx, k.Digest)
	}()
	if err != nil {
		u.d.deps.Log.Warn("other nodes cannot have a build from here", "version", k.Version, "err", err)
	}
}

// keeps reports whether a blob is the build of the newest release, which others may want.
func (u *updater) keeps(d lease.Digest) bool {
	book := u.known()
	s := book.Last()
	if s == nil {
		return false
	}
	for _, b := range s.Builds {
		if b.Digest == d {
			return true
		}
	}
	return false
}
