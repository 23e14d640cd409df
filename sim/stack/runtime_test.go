// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"croft/lease"
	"croft/sandbox"
	"croft/sandbox/sandboxtest"
)

// The model keeps the promises that the wardens keep.
func TestConformance(t *testing.T) {
	sandboxtest.RunIn(t, synctest.Test, subject)
}

func subject(t *testing.T) sandboxtest.Subject {
	m := newMachine()
	spec := func(name string, args ...string) sandbox.Spec {
		var r lease.RSet
		r[lease.CPU], r[lease.Memory], r[lease.Pids], r[lease.Disk] = 100, 128<<20, 64, 64<<20
		return sandbox.Spec{Sliver: name, Slice: "s@o", Hostname: "s", RSet: r, Deadline: m.Boot() + int64(time.Hour),
			Program: sandbox.Program{Kind: sandbox.Binary, Blob: lease.Digest{1}, Size: 1, Args: args}}
	}
	open := func() sandbox.Runtime { return runtime{&life{machine: m}} }
	return sandboxtest.Subject{Runtime: open(), Boot: m.Boot, Reopen: open,
		Forever: func(name string) sandbox.Spec { return spec(name, "probe") },
		Exits:   func(name string, exit int) sandbox.Spec { return spec(name, "exit", fmt.Sprint(exit)) },
		Command: func(exit int) sandbox.Exec { return sandbox.Exec{Args: []string{"exit", fmt.Sprint(exit)}} }}
}

// Nothing that a dead daemon does reaches its machine.
func TestDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := subject(t)
		l := s.Runtime.(runtime).l
		if err := s.Runtime.Start(t.Context(), s.Forever("lives")); err != nil {
			t.Fatal(err)
		}
		l.dead.Store(true)
		if err := s.Runtime.Remove(t.Context(), "lives"); err == nil || !l.runs("lives") {
			t.Errorf("the dead removed a sliver: %v", err)
		}
		if err := s.Runtime.Start(t.Context(), s.Forever("other")); err == nil || l.runs("other") {
			t.Errorf("the dead started a sliver: %v", err)
		}
	})
}
