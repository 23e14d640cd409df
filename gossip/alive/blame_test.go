// SPDX-License-Identifier: Apache-2.0

package alive

import (
	"fmt"
	"testing"
	"time"

	"croft/lease"
	"croft/lease/judge"
)

// slander has those that stand right before the watch's own node suspect it for so
// long, so many at once as soon as the last word was refuted, and each again as soon
// as it counts. It returns how often the node publishes an offer for it, and for how
// long it is left out. Its offers arrive at once.
func (v *village) slander(by []int, atOnce int, lasting time.Duration) (refuted int, out time.Duration) {
	v.t.Helper()
	of, before, tried := v.offers[v.id(0)].Sequence, v.refutes, map[int]time.Time{}
	for end := v.now.Add(lasting); v.now.Before(end); v.run(time.Second) {
		said := 0
		for _, i := range by {
			if said == atOnce || v.watch.standing(v.id(0)) != Present && said == 0 {
				break
			}
			if v.now.Sub(tried[i]) < 10*time.Second {
				continue
			}
			if tried[i] = v.now; v.step(Received{v.says(i, 0, of, 0)}).Judgement == judge.Accept {
				said++
			}
		}
		if n := v.refutes - before; n > refuted {
			refuted, of = n, of+1
			v.offer(0, of)
		}
		if v.watch.standing(v.id(0)) == Absent {
			out += time.Second
		}
	}
	return refuted, out
}

// Who accuses a node whenever it counts does not set the pace of its offers, nor has
// it left out for long.
func TestColludersDoNotSetThePace(t *testing.T) {
	all := []int{-1, -2, -3, -4, -5, -6, -7, -8, -9, -10}
	for _, c := range []struct {
		by      []int
		sites   int
		atOnce  int
		refuted int           // at most in the first hour
		later   int           // and in the second
		out     time.Duration // at most in the first
	}{
		{all[:2], 2, 1, 16, 8, 0},
		{all, 2, 1, 16, 8, 0},   // having many nodes is no help
		{all, 10, 1, 60, 50, 0}, // as MaxRefuteGap allows
		{all, 10, 3, 70, 65, 5 * time.Minute},
	} {
		t.Run(fmt.Sprintf("%d nodes of %d sites, %d at once", len(c.by), c.sites, c.atOnce), func(t *testing.T) {
			v := newVillage(t, 40)
			for _, i := range c.by {
				v.offers[v.id(i)].Site = lease.Principal{3, byte(-i % c.sites)}
			}
			refuted, out := v.slander(c.by, c.atOnce, time.Hour)
			if refuted > c.refuted || refuted == 0 || out > c.out {
				t.Errorf("it published %d times and was out for %s, want at most %d and %s", refuted, out, c.refuted, c.out)
			}
			later, still := v.slander(c.by, c.atOnce, time.Hour)
			if later > c.later || still > c.out {
				t.Errorf("then it published %d times and was out for %s, want at most %d and %s", later, still, c.later, c.out)
			}
			t.Logf("%d times, out for %s; then %d, %s", refuted, out, later, still)
		})
	}
}

// Slanderers take nothing from others: when the node does die, those count.
func TestTheHonestAreHeardBesideColluders(t *testing.T) {
	v := newVillage(t, 40)
	v.slander([]int{-1, -2}, 1, time.Hour)
	of := v.offers[v.id(0)].Sequence
	for _, i := range []int{-3, -4, -5} {
		v.hears(v.says(i, 0, of, 0), judge.None)
	}
	if got := v.watch.standing(v.id(0)); got != Absent {
		t.Errorf("it is %s", got)
	}
	v.hears(v.says(-1, 0, of+1, 0), judge.TooOften)
	// And of another node those that were refuted speak as before.
	v.hears(v.says(-1, 3, 1, 0), judge.None)
}

// A node that was away for minutes is no proof against those that missed it.
func TestWhoComesBackBlamesNobody(t *testing.T) {
	v := newVillage(t, 40)
	for sequence := uint64(1); sequence < 5; sequence++ {
		v.hears(v.says(19, 20, sequence, 0), judge.None)
		v.run(Soon + time.Second)
		v.offer(20, sequence+1)
	}
	if d := v.watch.doubts[v.id(20)]; d != nil && len(d.blamed) != 0 {
		t.Errorf("%v", d.blamed)
	}
	// What it refutes at once is one, and after Forgiven is none.
	v.hears(v.says(19, 20, 5, 0), judge.None)
	v.offer(20, 6)
	if d := v.watch.doubts[v.id(20)]; len(d.blamed) != 1 {
		t.Errorf("%v", d.blamed)
	}
	v.run(Forgiven + 2*Period)
	if d := v.watch.doubts[v.id(20)]; d != nil {
		t.Errorf("it remembers %v", d)
	}
}

// However many sites are refuted, so many are remembered of a node.
func TestSoManyAreBlamed(t *testing.T) {
	d := &doubt{}
	for i := range 3 * maxAccusers {
		d.blame(noon, lease.Principal{4, byte(i)}, maxStrikes)
	}
	if last := (lease.Principal{4, 3*maxAccusers - 1}); len(d.blamed) != maxAccusers || !d.silenced(noon, last) || d.silenced(noon, lease.Principal{4, 0}) {
		t.Errorf("%d are remembered", len(d.blamed))
	}
}

// Who has no say of a node that is dead still leaves it out for as long as it does not
// answer, asks it now and then, and speaks when it may again.
func TestWhoIsSilencedKnowsWhatItKnows(t *testing.T) {
	v := newVillage(t, 40)
	site := v.offers[v.id(0)].Site
	d := &doubt{}
	for range 1 + maxStrikes {
		d.blame(v.now, site, maxStrikes)
	}
	v.watch.doubts[v.id(1)] = d
	v.down[v.id(1)] = true
	v.run((Certain + 1) * Period)
	for end := v.now.Add(d.blamed[0].quiet() - (Certain+1)*Period - Repeat); v.now.Before(end); v.run(Period) {
		if v.stand(1, Absent); t.Failed() {
			t.Fatalf("after %s of silence", v.now.Sub(noon))
		}
	}
	if len(v.told) > 0 {
		t.Errorf("it told %d while nobody listened", len(v.told))
	}
	if d.blamed[0].times != 1+maxStrikes {
		t.Errorf("it was blamed for what it did not tell: %+v", d.blamed)
	}
	asked := v.probes[v.id(1)]
	v.run(3 * Repeat)
	if len(v.told) == 0 {
		t.Error("it is silent for longer than it must")
	}
	if v.probes[v.id(1)] == asked {
		t.Error("it does not ask any more")
	}
	v.stand(1, Absent)
	v.down[v.id(1)] = false
	v.run(LostPeriod + Timeout)
	v.stand(1, Present)
}

// A node that refutes whatever is said of it, and answers nobody, is missed by five
// sites. It does not silence them: it is left out again and again.
func TestWhoRefutesAndNeverAnswersSilencesNobody(t *testing.T) {
	v := newVillage(t, 40)
	of, out, last := v.offers[v.id(0)].Sequence, 0, map[int]int{}
	for second := range 7200 {
		for _, i := range []int{-1, -2, -3, -4, -5} {
			// As a watch would: two misses after the newest offer, and no more often than
			// counts.
			if second%12 == -2*i && v.step(Received{v.says(i, 0, of, 0)}).Judgement == judge.Accept {
				last[i] = second
			}
		}
		if v.watch.standing(v.id(0)) == Absent {
			out++
		}
		if second%10 == 9 { // as often as others pass it on
			of++
			v.offer(0, of)
		}
		v.run(time.Second)
	}
	for i, at := range last {
		if 7200-at > int(Valid/time.Second) {
			t.Errorf("%d has had no say for %d s", i, 7200-at)
		}
	}
	if len(last) != 5 || out == 0 {
		t.Errorf("%d have had a say, and it was out for %d s", len(last), out)
	}
	t.Logf("it was out for %d s of 7200", out)
}
