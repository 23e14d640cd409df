// SPDX-License-Identifier: Apache-2.0

package warden

import (
	"fmt"
	"testing"

	"croft/sandbox"
	"croft/sandbox/sandboxtest"
)

func TestRootConformance(t *testing.T) {
	need(t)
	sandboxtest.Run(t, func(t *testing.T) sandboxtest.Subject {
		b := newBench(t)
		return sandboxtest.Subject{
			Runtime: b.rt,
			Forever: func(sliver string) sandbox.Spec { return b.spec(sliver, "echo up; exec sleep 1000") },
			Exits: func(sliver string, exit int) sandbox.Spec {
				return b.spec(sliver, fmt.Sprintf("echo bye; exit %d", exit))
			},
			Command: func(exit int) sandbox.Exec {
				return sandbox.Exec{Args: []string{"/bin/sh", "-c", fmt.Sprintf("echo hi; exit %d", exit)}}
			},
			Boot:   bootNow,
			Reopen: func() sandbox.Runtime { b.rt.Close(); b.open(); return b.rt },
		}
	})
}
