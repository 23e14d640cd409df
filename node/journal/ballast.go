// SPDX-License-Identifier: Apache-2.0

package journal

import "fmt"

// ballast is room set aside on disk, in a file of its own.
type ballast struct {
	disk Disk
	want int64
	have int64
}

const ballastName = "ballast"

// fill makes the ballast whole, if there is room.
func (b *ballast) fill() error {
	if b.have >= b.want {
		return nil
	}
	have, err := b.disk.Reserve(ballastName, b.want)
	b.have = have
	if err != nil && noRoom(err) {
		err = fmt.Errorf("%w: %w", ErrFull, err)
	}
	if err != nil {
		return fmt.Errorf("setting %d bytes aside: %w", b.want, err)
	}
	return nil
}

// spend gives up enough for a write of n bytes, or all that is left, and
// reports whether there was anything to give.
func (b *ballast) spend(n int) bool {
	if b.have == 0 {
		return false
	}
	// Twice, in whole steps: a file system needs blocks for its own tables too.
	step := (int64(2*n)/ballastStep + 1) * ballastStep
	b.have = max(0, b.have-step)
	f, err := b.disk.Open(ballastName)
	if err != nil {
		return false
	}
	defer f.Close()
	if err := f.Truncate(b.have); err != nil {
		return false
	}
	// Some file systems give freed blocks out again only after a commit.
	return f.Sync() == nil
}
