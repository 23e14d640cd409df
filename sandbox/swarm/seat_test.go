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

// Whoever keeps the sums back has his time, while others wait for his place: until then
// nothing is to be done, and a wake that is served does not come again.
func TestSumsThatAreKeptBack(t *testing.T) {
	f := swarm.New(swarm.Config{Size: 1})
	var list []lease.Principal
	for i := range 2 * swarm.MaxHolders {
		list = append(list, named(fmt.Sprint("whole", i)))
	}
	now, steps := start, 0
	var step func(swarm.Input)
	step = func(in swarm.Input) {
		for _, e := range f.Step(now, in) {
			if a, ok := e.(swarm.Ask); ok {
				step(swarm.Told{Node: a.Node, Holding: swarm.Holding{Whole: true}})
			}
		}
	}
	for step(swarm.Named{Nodes: list}); ; steps++ {
		at, ok := f.NextWake()
		if !ok {
			break
		}
		if !at.After(now) {
			t.Fatalf("it wants to be woken at %s, which was served", at.Sub(start))
		}
		now = at
		step(swarm.Tick{})
	}
	if steps > 200 {
		t.Errorf("%d steps in %s", steps, now.Sub(start))
	}
}

// A holder that answers at once with nothing more is not asked without pause.
func TestAnswersWithNothingMore(t *testing.T) {
	f := swarm.New(swarm.Config{Size: 1, Sums: make(swarm.Sums, 32)})
	now, asked := start, 0
	effects := f.Step(now, swarm.Named{Nodes: []lease.Principal{named("eager")}})
	for asked < 1000 {
		told := false
		for _, e := range effects {
			if a, ok := e.(swarm.Ask); ok {
				asked, told = asked+1, true
				effects = f.Step(now, swarm.Told{Node: a.Node, Holding: swarm.Holding{Pieces: swarm.NewSet(1)}})
			}
		}
		if told {
			continue
		}
		at, ok := f.NextWake()
		if !ok {
			break
		}
		now = at
		effects = f.Step(now, swarm.Tick{})
	}
	if asked > 2*int(swarm.StuckAfter/swarm.AskAgain) {
		t.Errorf("it is asked %d times in %s", asked, now.Sub(start))
	}
}
