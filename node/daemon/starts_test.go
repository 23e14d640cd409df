// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"strings"
	"testing"
	"time"

	"croft/lease"
	"croft/node/api"
	"croft/sandbox"
)

// Commands of a sliver follow one another at a pace, and are no matter of another
// sliver's; one that may not be started costs nothing.
func TestCommandsHaveAPace(t *testing.T) {
	inBubble(t, func(t *testing.T, m *world) {
		l, alice, bob := m.boot(), newPerson(t, "alice"), newPerson(t, "bob")
		first, second := lease.SliverName(alice.run(l, "a", time.Hour)), lease.SliverName(alice.run(l, "b", time.Hour))
		m.settle()
		start := func(p *person, sliver string) error {
			_, err := l.d.Node().Slivers.Exec(t.Context(), p.caller(), sliver, sandbox.Exec{Args: []string{"true"}}, sandbox.IO{})
			return err
		}
		started := func(sliver string) (n int) {
			for start(alice, sliver) == nil {
				n++
			}
			return n
		}
		if err := start(bob, first); err == nil || errors.Is(err, api.ErrBusy) {
			t.Errorf("a stranger: %v", err)
		}
		if n := started(first); n != execBurst {
			t.Errorf("%d commands at once, want %d", n, execBurst)
		}
		err := start(alice, first)
		if !errors.Is(err, api.ErrBusy) || !strings.Contains(err.Error(), "32, and then 2 a second, are started") {
			t.Errorf("one more: %v", err)
		}
		if n := started(second); n != execBurst {
			t.Errorf("in another sliver %d, want %d", n, execBurst)
		}
		m.pass(3 * time.Second)
		if n := started(first); n != 3*execRate {
			t.Errorf("after three seconds %d more, want %d", n, 3*execRate)
		}
		m.pass(time.Minute)
		if n := started(first); n != execBurst {
			t.Errorf("after a minute %d more, want %d", n, execBurst)
		}
		if n := len(l.d.starts.of); n != 2 {
			t.Errorf("%d slivers are remembered", n)
		}
	})
}
