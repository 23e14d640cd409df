// SPDX-License-Identifier: Apache-2.0

package store

import (
	"croft/ebpf/audit"
)

// Growth shows the log to who keeps a head of so many segments, 0 for none. It
// returns ErrNotYet before the first head.
func (s *Store) Growth(size uint64) (g audit.Growth, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.failed != nil:
		return g, s.failed
	case s.head.Size == 0:
		return g, ErrNotYet
	}
	g.Head = s.head.Bytes
	if size == 0 || size >= s.head.Size {
		return g, nil
	}
	tree := s.log.Tree()
	if g.Root, err = tree.Root(size); err != nil {
		return g, err
	}
	g.Path, err = tree.Since(size, s.head.Size)
	return g, err
}
