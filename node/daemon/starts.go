// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"fmt"
	"sync"
	"time"

	"croft/node/api"
)

// starts counts the commands that are started in slivers: each costs the node a
// run of the runtime, which no lease pays for. The zero value is ready.
type starts struct {
	mu sync.Mutex
	of map[string]*allowance
}

// take charges a sliver for one start, or refuses it.
func (s *starts) take(now time.Time, sliver string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.of[sliver]
	if a == nil {
		if s.of == nil {
			s.of = map[string]*allowance{}
		}
		s.forget(now)
		a = &allowance{left: execBurst, at: now}
		s.of[sliver] = a
	}
	if a.fill(now, execBurst, execRate); a.left < 1 {
		return fmt.Errorf("%w: commands in sliver %s follow one another too fast: %d, and then %d a second, are started", api.ErrBusy, sliver, execBurst, execRate)
	}
	a.left--
	return nil
}

// forget lets go of those that owe nothing; a sliver owes nothing soon after its
// last command, so that no more are left than were busy lately.
func (s *starts) forget(now time.Time) {
	for sliver, a := range s.of {
		if a.fill(now, execBurst, execRate); a.left >= execBurst {
			delete(s.of, sliver)
		}
	}
}
