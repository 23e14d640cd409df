// SPDX-License-Identifier: Apache-2.0

package store

import (
	"os"

	"golang.org/x/sys/unix"
)

// reserve is disk space that is taken beforehand: when others fill the disk the
// record goes on from it. Where a file system cannot set space aside there is
// none, and a full disk is full.
type reserve struct {
	path       string
	size, want int64
}

// step is how much of it is given at once at the least: blocks and metadata take
// more than the bytes.
const reserveStep = 1 << 20

func openReserve(path string, want int64) *reserve {
	r := &reserve{path: path, want: max(0, want)}
	if info, err := os.Stat(path); err == nil {
		r.size = info.Size()
	}
	if r.size > r.want {
		r.shrink(r.want)
	}
	r.refill()
	return r
}

// give frees space for so many bytes and reports whether there was any.
func (r *reserve) give(bytes int64) bool {
	if r.size == 0 {
		return false
	}
	return r.shrink(max(0, r.size-max(reserveStep, 2*bytes)))
}

func (r *reserve) shrink(to int64) bool {
	if err := os.Truncate(r.path, to); err != nil {
		return false
	}
	r.size = to
	return true
}

// refill takes as much as is missing, if the disk has it.
func (r *reserve) refill() {
	if r.size >= r.want {
		return
	}
	f, err := os.OpenFile(r.path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return
	}
	defer f.Close()
	if unix.Fallocate(int(f.Fd()), 0, 0, r.want) != nil {
		f.Truncate(r.size) // what it took of it
		return
	}
	r.size = r.want
}
