// SPDX-License-Identifier: Apache-2.0

package swarm_test

import (
	"fmt"
	"testing"
	"time"

	"croft/lease"
	"croft/sandbox/swarm"
)

// silence plays a fetch of which all that are asked are silent but for one, and
// returns when that one is asked.
func silence(t *testing.T, silent int) time.Duration {
	t.Helper()
	f := swarm.New(swarm.Config{Size: 1, Sums: make(swarm.Sums, 32)})
	var list []lease.Principal
	for i := range silent {
		list = append(list, named(fmt.Sprint("silent", i)))
	}
	now := start
	in := swarm.Input(swarm.Named{Nodes: append(list, named("whole"))})
	for {
		for _, e := range f.Step(now, in) {
			switch e := e.(type) {
			case swarm.Ask:
				if e.Node == named("whole") {
					return now.Sub(start)
				}
			case swarm.Stuck:
				t.Fatal("it is never asked")
			}
		}
		now, _ = f.NextWake()
		in = swarm.Tick{}
	}
}

// Nodes that are silent by turns do not keep out one that was named after them.
func TestTheSilentKeepNobodyOut(t *testing.T) {
	if at := silence(t, 3*swarm.MaxHolders); at > 3*(swarm.AnswerWithin+swarm.WaitWithin) {
		t.Errorf("it is asked after %s", at)
	}
}
