// SPDX-License-Identifier: Apache-2.0

package world

import (
	"testing"

	"croft/sim/report"
)

const speaking = `nodes 60
join wave=20 every=1s
at 20s slice web nodes=20
at 40s publish news slice=web bytes=300 count=20 every=2s
`

func counted(r *report.Report, what string) uint64 {
	for _, c := range r.Counts {
		if c.What == what {
			return c.Count
		}
	}
	return 0
}

// What slivers say on a topic of their slice comes to all the others, and the same
// seed gives the same history.
func TestSpeech(t *testing.T) {
	s := read(t, speaking+"at 50s publish more slice=web count=3\nat 60s publish news slice=web count=4 after=5s\nexpect topic share = 1\nexpect topic p99 <= 2s\n")
	r := play(t, s)
	if said, heard := counted(r, "topics said"), counted(r, "topics heard"); !r.OK() || said != 27 || heard != 27*19 {
		t.Errorf("%d said, %d heard: %+v %+v", said, heard, r.Expects, r.Counts)
	}
	if again := play(t, s); again.History != r.History {
		t.Error("another history")
	}
}

// Who is cut off hears nothing of the others; whose daemon was down listens again
// when it is back.
func TestSpeechCut(t *testing.T) {
	r := play(t, read(t, speaking+"at 52s fault partition fraction=0.5 for=10s\nexpect topic share < 0.95\nexpect topic share > 0.5\n"))
	if !r.OK() {
		t.Errorf("%+v", r.Expects)
	}
	r = play(t, read(t, speaking+"at 52s fault kill fraction=0.3 for=5s\nexpect topic share = 1\n"))
	if !r.OK() || counted(r, "topics heard") >= 20*19 {
		t.Errorf("%+v, %d heard", r.Expects, counted(r, "topics heard"))
	}
}

// Without a record nobody may speak, and it is seen.
func TestSpeechWithoutRecord(t *testing.T) {
	w, err := newWorld(read(t, speaking+"expect topic share >= 0.99\n"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	w.forgetful = true
	r, err := w.run(t.Context(), Options{})
	if err != nil || r.OK() || counted(r, "topics not said: unknown-slice") != 20 {
		t.Errorf("%v: %+v %+v", err, r.Expects, r.Counts)
	}
}
