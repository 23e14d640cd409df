// SPDX-License-Identifier: Apache-2.0

package contact

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"croft/lease"
)

var began = time.Unix(1_800_000_000, 0)

func some(first, n int) (list []Contact) {
	for i := range n {
		list = append(list, Contact{Node: lease.Principal{1, byte(first + i), byte((first + i) >> 8)},
			Addrs: []string{fmt.Sprintf("/ip4/192.0.%d.%d/tcp/4001", (first+i)/250, (first+i)%250+1)}})
	}
	return list
}

// play steps through a script of "SECONDS input" and prints what is tried.
func play(t *testing.T, j *Joining, script string) string {
	t.Helper()
	var out strings.Builder
	for line := range strings.Lines(script) {
		var at float64
		var word, name string
		var n int
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		fmt.Sscan(fields[0], &at)
		word = fields[1]
		var in Input = Tick{}
		source := func() Source {
			name = fields[2]
			for s := range sources {
				if s.String() == name {
					return s
				}
			}
			t.Fatalf("%s: no such source", line)
			return 0
		}
		switch word {
		case "heard":
			fmt.Sscan(fields[3], &n)
			in = Heard{source(), some(100*int(source()), n)}
		case "tried":
			in = Tried{source(), fields[3] == "true"}
		case "peers":
			fmt.Sscan(fields[2], &n)
			in = Peers{n}
		}
		for _, e := range j.Step(began.Add(time.Duration(at*float64(time.Second))), in) {
			fmt.Fprintf(&out, "%s %s; ", fields[0], e)
		}
	}
	return strings.TrimSuffix(out.String(), "; ")
}

func TestWhomToTryWhen(t *testing.T) {
	for name, c := range map[string]struct{ script, want string }{
		"in order, each with a head start": {`
			0 heard remembered 2
			0 heard given 1
			1 tick
			3 tick
			4 tick
			6 tick
			9 tick`, "0 try remembered 2; 3 try given 1"},
		"a failure leaves the next no wait": {`
			0 heard remembered 1
			0 heard given 1
			0.5 heard shipped 3
			1 tried remembered false
			1.2 tried given false`, "0 try remembered 1; 1 try given 1; 1.2 try shipped 3"},
		"once joined, nobody else is tried": {`
			0 heard remembered 1
			0 heard given 1
			1 tried remembered true
			4 tick
			4 peers 1
			9 tick
			20 peers 0`, "0 try remembered 1; 20 try remembered 1"},
		"the local network, also when joined": {`
			0 peers 3
			1 heard local 1
			2 heard local 2
			3 heard given 1
			4 tried local true`, "1 try local 1; 4 try local 2"},
		"news ends the wait": {`
			0 heard given 1
			1 tried given false
			1.5 heard remembered 1`, "0 try given 1; 1.5 try remembered 1"},
		"what comes late to a round is not left out": {`
			0 heard given 1
			1 heard remembered 1`, "0 try given 1; 1 try remembered 1"},
		"what the role names replaces nothing that was given, and ends no wait": {`
			0 heard given 1
			0.2 heard named 64
			1 tried given false
			1.5 tried named false
			1.6 heard named 64
			1.7 heard named 2
			1.8 tried named false
			1.9 heard named 0
			9 tick
			10 tried given false
			20 tick`, "0 try given 1; 1 try named 64; 1.7 try named 2; 9 try given 1; 20 try given 1"},
		"what neighbours tell replaces nothing that was given": {`
			0 heard given 64
			1 heard told 64
			1.5 tried given false
			2 tried told false
			9 tick`, "0 try given 64; 1.5 try told 64; 9 try given 64"},
		"a word that nobody waits for": {`
			0 tried given true
			1 tried local false`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := play(t, NewJoining(1), c.script); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// The wait between rounds doubles to a minute, and two nodes do not come at once.
func TestTheWaitBetweenRounds(t *testing.T) {
	waits := func(seed uint64) (list []time.Duration) {
		j, now := NewJoining(seed), began
		effects := j.Step(now, Heard{Given, some(0, 1)})
		for range 10 {
			if len(effects) != 1 {
				t.Fatalf("tried %v", effects)
			}
			if effects = j.Step(now, Tried{Source: Given}); len(effects) != 0 {
				t.Fatalf("again at once: %v", effects)
			}
			at, ok := j.NextWake()
			if !ok {
				t.Fatal("it waits for nothing")
			}
			list = append(list, at.Sub(now))
			if early := j.Step(at.Add(-1), Tick{}); len(early) != 0 {
				t.Fatalf("too early: %v", early)
			}
			now = at
			effects = j.Step(now, Tick{})
		}
		return list
	}
	one, other := waits(1), waits(2)
	want := firstWait
	for i, d := range one {
		if d < want || d > want*3/2 {
			t.Errorf("wait %d is %s, want %s to %s", i, d, want, want*3/2)
		}
		want = min(2*want, lastWait)
	}
	if fmt.Sprint(one) == fmt.Sprint(other) {
		t.Error("two seeds wait the same")
	}
}

// A round of nobody fails as one of everybody does; who is there ends the count.
func TestRoundsThatFailedAreCounted(t *testing.T) {
	j := NewJoining(1)
	j.Step(began, Peers{})
	if j.Failed() != 1 {
		t.Errorf("%d of nobody", j.Failed())
	}
	j.Step(began.Add(time.Second), Heard{Given, some(0, 1)})
	if j.Failed() != 1 {
		t.Errorf("%d while one is tried", j.Failed())
	}
	j.Step(began.Add(2*time.Second), Tried{Given, false})
	if j.Failed() != 2 {
		t.Errorf("%d after it", j.Failed())
	}
	if j.Step(began.Add(3*time.Second), Peers{1}); j.Failed() != 0 {
		t.Errorf("%d with a neighbour", j.Failed())
	}
}

// Whatever happens, at most one try of a source is under way, none is of nobody or
// of too many, and while nobody is there and somebody known is not being tried,
// there is a time at which he will be.
func TestJoiningNeverGivesUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		j, now := NewJoining(7), began
		flying := map[Source]bool{}
		known := false
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 5000).Draw(t, "ms")) * time.Millisecond)
			s := Source(rapid.IntRange(0, int(sources)-1).Draw(t, "source"))
			var in Input
			switch rapid.IntRange(0, 3).Draw(t, "input") {
			case 0:
				n := rapid.IntRange(0, 70).Draw(t, "contacts")
				in, known = Heard{s, some(rapid.IntRange(0, 300).Draw(t, "first"), n)}, known || n > 0
			case 1:
				in = Tried{s, rapid.Bool().Draw(t, "joined")}
				delete(flying, s)
			case 2:
				in = Peers{rapid.IntRange(0, 1).Draw(t, "peers")}
			default:
				in = Tick{}
			}
			for _, e := range j.Step(now, in) {
				if flying[e.Source] || len(e.Contacts) == 0 || len(e.Contacts) > MaxContacts {
					t.Fatalf("%s: %s while %v", in, e, flying)
				}
				flying[e.Source] = true
			}
			at, wakes := j.NextWake()
			if known && j.peers == 0 && !wakes {
				t.Fatalf("%s: nothing will ever be tried", in)
			}
			if wakes && at.After(now.Add(lastWait*3/2)) {
				t.Fatalf("%s: waits %s", in, at.Sub(now))
			}
		}
	})
}
