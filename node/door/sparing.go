// SPDX-License-Identifier: Apache-2.0

package door

import (
	"log/slog"
	"sync"
	"time"
)

// sparing has what a sliver can cause again and again told to the node's owner once in
// a while, of each kind, and else only to who looks closely; it is counted anyway.
type sparing struct {
	mu   sync.Mutex
	told map[string]time.Time
}

func newSparing() *sparing { return &sparing{told: map[string]time.Time{}} }

// level is that at which something of a kind is told now.
func (s *sparing) level(kind string, l slog.Level) slog.Level {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if at, ok := s.told[kind]; ok && now.Sub(at) < tellEvery {
		return slog.LevelDebug
	}
	s.told[kind] = now
	return l
}
