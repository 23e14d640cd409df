// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"testing"

	"pgregory.net/rapid"
)

// The oracle holds every span and adds up by the instant.
type bruteCalendar []span

func (b bruteCalendar) peak(t Term) RSet {
	var top RSet
	for at := t.From; at < t.Until; at++ {
		var load RSet
		for _, s := range b {
			if s.Covers(at) {
				load = load.Plus(s.rset)
			}
		}
		top = top.Max(load)
	}
	return top
}

func drawTerm(t *rapid.T) Term {
	from := rapid.Int64Range(1, 40).Draw(t, "from")
	return Term{from, from + rapid.Int64Range(1, 20).Draw(t, "seconds")}
}

func drawSmall(t *rapid.T) RSet {
	return RSet{CPU: rapid.Uint64Range(0, 5).Draw(t, "cpu"), Memory: rapid.Uint64Range(0, 5).Draw(t, "memory"), PortsOut: rapid.Uint64Range(0, 2).Draw(t, "ports")}
}

func TestCalendarAgreesWithBruteForce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var c calendar
		var oracle bruteCalendar
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			if len(oracle) > 0 && rapid.IntRange(0, 2).Draw(t, "what") == 0 {
				i := rapid.IntRange(0, len(oracle)-1).Draw(t, "remove")
				c.remove(oracle[i])
				oracle = append(oracle[:i], oracle[i+1:]...)
			} else {
				s := span{drawTerm(t), drawSmall(t)}
				c.add(s)
				oracle = append(oracle, s)
			}
			balanced(t, c.root)
			q := drawTerm(t)
			if got, want := c.peak(q), oracle.peak(q); got != want {
				t.Fatalf("peak in [%d, %d): got %s, want %s", q.From, q.Until, got, want)
			}
		}
		for _, s := range oracle {
			c.remove(s)
		}
		if !c.empty() {
			t.Fatal("edges are left of spans that are not")
		}
	})
}

func balanced(t *rapid.T, n *edge) {
	if n == nil {
		return
	}
	if lean := n.left.tall() - n.right.tall(); lean < -1 || lean > 1 {
		t.Fatalf("edge at %d leans by %d", n.at, lean)
	}
	balanced(t, n.left)
	balanced(t, n.right)
}

func TestSkylineIsTheMaximum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var k skyline
		var laid []span
		now := int64(0)
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			s := span{drawTerm(t), drawSmall(t)}
			rise := bruteCalendar(k.rise(s.Term, s.rset))
			before := k
			k = append(skyline{}, k...).raise(s.Term, s.rset, now)
			laid = append(laid, s)
			for at := now; at < 65; at++ {
				var want RSet
				for _, o := range laid {
					if o.Covers(at) {
						want = want.Max(o.rset)
					}
				}
				if got := k.level(at); got != want {
					t.Fatalf("level at %d: got %s, want %s", at, got, want)
				}
				grown := before.level(at).Plus(rise.peak(Term{at, at + 1}))
				if s.Covers(at) && grown != want {
					t.Fatalf("rise at %d: %s, want %s", at, grown, want)
				}
			}
			now += rapid.Int64Range(0, 4).Draw(t, "pass")
		}
	})
}
