// SPDX-License-Identifier: Apache-2.0

package alive

import (
	"testing"
	"time"

	"croft/lease/judge"
)

// What is told as evidence is enough to come to the standings of this package.
func TestEvidenceBearsTheStandings(t *testing.T) {
	v := newVillage(t, 40)
	agree := func(when string) {
		t.Helper()
		told := map[int]Evidence{}
		for _, e := range v.watch.Evidence(v.now) {
			for i := range v.keys {
				if v.id(i) == e.Node {
					told[i] = e
				}
			}
		}
		for i := range v.keys {
			e, want := told[i], Present
			switch {
			case e.Missed >= Certain || len(e.Charges) >= Sites:
				want = Absent
			case len(e.Charges) > 0:
				want = Doubted
			}
			if got := v.watch.Standing(&v.offers[v.id(i)].Offer); got != want {
				t.Errorf("%s: node %d is %s, by %+v %s", when, i, got, e, want)
			}
		}
	}
	v.down[v.id(3)] = true
	for range 12 {
		v.run(Period / 2)
		agree("node 3 is down")
	}
	v.stand(3, Absent)
	v.hears(v.says(19, 20, 1, 0), judge.None)
	v.hears(v.says(18, 20, 1, 0), judge.None)
	agree("two sites")
	v.hears(v.says(17, 20, 1, 0), judge.None)
	agree("three sites")
	v.run(time.Second)
	for _, e := range v.watch.Evidence(v.now) {
		if e.Node == v.id(20) && (len(e.Charges) != Sites || e.Charges[0].By != 1 || e.Charges[0].Age != time.Second) {
			t.Errorf("%+v", e)
		}
	}
	v.offer(20, 2)
	agree("refuted")
	for i := 1; i <= Neighbours+1; i++ { // most do not answer: the fault is its own
		v.down[v.id(i)] = true
	}
	for range 20 {
		v.run(Period / 2)
		agree("most are silent")
	}
}
