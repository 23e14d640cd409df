// SPDX-License-Identifier: Apache-2.0

package api

import (
	"sync/atomic"
	"time"
)

// Stamp gives the times of the messages that one key signs: each is of another, so that
// what is said twice is two messages. It is safe for concurrent use.
type Stamp struct{ last atomic.Int64 }

// Next is now in Unix milliseconds, or just after the message before. A clock that was
// set back by a second or more is believed.
func (s *Stamp) Next(now time.Time) int64 {
	for {
		last, made := s.last.Load(), now.UnixMilli()
		if made <= last && last-made < time.Second.Milliseconds() {
			made = last + 1
		}
		if s.last.CompareAndSwap(last, made) {
			return made
		}
	}
}
