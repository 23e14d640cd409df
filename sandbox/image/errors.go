// SPDX-License-Identifier: Apache-2.0

package image

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"croft/sandbox"
)

var (
	ErrUnknown = errors.New("no such blob")
	ErrOffset  = errors.New("the piece does not start where the last one ended")
	ErrSize    = errors.New("not the announced size")
	ErrDigest  = errors.New("the bytes have another digest")
	ErrTar     = errors.New("this archive cannot be a root")
)

// space turns a full disk into the error that callers know.
func space(err error) error {
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return fmt.Errorf("%w: %w", sandbox.ErrNoSpace, err)
	}
	return err
}
