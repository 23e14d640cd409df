// SPDX-License-Identifier: Apache-2.0

package alive

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"croft/lease"
	"croft/lease/judge"
	"croft/lease/offer"
)

// village is nodes in the order of their ids, as one of them knows them.
type village struct {
	t       *testing.T
	now     time.Time
	keys    []testKey
	offers  map[lease.Principal]*offer.Opened
	watch   *Watch
	down    map[lease.Principal]bool // who does not answer
	told    []Publish
	stands  map[lease.Principal]Standing
	probes  map[lease.Principal]int
	brought [][]byte // with probes that were answered
	refutes int
}

// newVillage is of n nodes, each of a site of its own, seen by the first.
func newVillage(t *testing.T, n int) *village {
	v := &village{t: t, now: noon, offers: map[lease.Principal]*offer.Opened{}, down: map[lease.Principal]bool{},
		stands: map[lease.Principal]Standing{}, probes: map[lease.Principal]int{}}
	for i := range n {
		v.keys = append(v.keys, keyOf(fmt.Sprint("villager ", i)))
	}
	slices.SortFunc(v.keys, func(a, b testKey) int { return compare(a.Principal(), b.Principal()) })
	v.watch = NewWatch(Config{Self: v.id(0), Key: v.keys[0], Offer: func(p lease.Principal) (*offer.Opened, bool) {
		o, ok := v.offers[p]
		return o, ok
	}})
	for i := range n {
		v.offer(i, 1)
	}
	return v
}

func (v *village) id(i int) lease.Principal {
	return v.keys[(i+len(v.keys))%len(v.keys)].Principal()
}

// offer has a node's offer of a sequence arrive. Node i is of site i.
func (v *village) offer(i int, sequence uint64) {
	o := &offer.Opened{}
	o.Node, o.Sequence, o.Site = v.id(i), sequence, lease.Principal{1, byte(i), byte(i >> 8)}
	v.offers[o.Node] = o
	v.step(Heard{o.Node, sequence})
}

func (v *village) step(in Input) (verdict Verdict) {
	v.t.Helper()
	for _, e := range v.watch.Step(v.now, in) {
		switch e := e.(type) {
		case Verdict:
			verdict = e
		case Probe:
			v.probes[e.Node]++
			if !v.down[e.Node] {
				if e.Suspicion != nil {
					v.brought = append(v.brought, e.Suspicion)
				}
				v.step(Answered{e.Ref})
			}
		case Publish:
			v.told = append(v.told, e)
		case Refute:
			v.refutes++
		case Changed:
			v.stands[e.Node] = e.Standing
		}
		if e.String() == "" {
			v.t.Errorf("%T prints nothing", e)
		}
	}
	return verdict
}

// run lets time pass, from wake to wake.
func (v *village) run(d time.Duration) {
	v.t.Helper()
	end := v.now.Add(d)
	for range 1_000_000 {
		at, ok := v.watch.NextWake()
		if !ok || at.After(end) {
			v.now = end
			return
		}
		v.now = at
		v.step(Tick{})
		if next, _ := v.watch.NextWake(); !next.After(v.now) {
			v.t.Fatalf("it wants to be woken at %s again", v.now)
		}
	}
	v.t.Fatal("time stands still")
}

// says is a suspicion by one of another's offer, made d from now.
func (v *village) says(by, node int, sequence uint64, d time.Duration) []byte {
	v.t.Helper()
	s, err := Seal(Suspicion{By: v.id(by), Node: v.id(node), Sequence: sequence, Made: v.now.Add(d).Unix()}, v.keys[(by+len(v.keys))%len(v.keys)])
	if err != nil {
		v.t.Fatal(err)
	}
	return s.Bytes
}

func (v *village) hears(b []byte, want judge.Reason) {
	v.t.Helper()
	if got := v.step(Received{b}); got.Reason != want {
		v.t.Errorf("%s, want %q", got, want)
	}
}

func (v *village) stand(i int, want Standing) {
	v.t.Helper()
	if got := v.watch.Standing(&v.offers[v.id(i)].Offer); got != want || v.stands[v.id(i)] != want {
		v.t.Errorf("node %d is %s, told to be %s, want %s", i, got, v.stands[v.id(i)], want)
	}
}

func TestEachProbesTheFiveBehindIt(t *testing.T) {
	v := newVillage(t, 20)
	v.run(time.Minute)
	for i := range 20 {
		want := 0
		if i >= 1 && i <= Neighbours {
			want = int(time.Minute / Period)
		}
		if got := v.probes[v.id(i)]; got < want || got > want+1 || want == 0 && got > 0 {
			t.Errorf("node %d was probed %d times, want %d", i, got, want)
		}
	}
	s := v.watch.Stats()
	if s.Misses+s.Suspected+s.Refuted != 0 || s.Probes != s.Answers || len(v.told) != 0 {
		t.Errorf("%+v, told %v", s, v.told)
	}
	// A stranger joins right behind it, and the fifth is no neighbour any more.
	v.watch.Step(v.now, Gone{v.id(2)})
	delete(v.offers, v.id(2))
	before := v.probes[v.id(2)]
	v.run(time.Minute)
	if v.probes[v.id(2)] > before+1 || v.probes[v.id(6)] == 0 {
		t.Errorf("who has gone was probed %d times more, the next %d times", v.probes[v.id(2)]-before, v.probes[v.id(6)])
	}
}

func TestTwoMissesAreToldOnceAndAgain(t *testing.T) {
	v := newVillage(t, 20)
	v.down[v.id(3)] = true
	v.run(Period + Timeout)
	if len(v.told) != 0 {
		t.Fatal("it is told after one miss")
	}
	v.run(Period)
	if len(v.told) != 1 || v.told[0].Node != v.id(3) {
		t.Fatalf("told %v", v.told)
	}
	if s, err := Open(v.told[0].Bytes); err != nil || s.By != v.id(0) || s.Node != v.id(3) || s.Sequence != 1 {
		t.Fatalf("%+v, %v", s, err)
	}
	v.stand(3, Doubted)
	v.run(Period)
	v.stand(3, Absent) // it is sure by itself
	if v.run(Period); v.probes[v.id(6)] == 0 {
		t.Error("nobody takes the place of who is absent")
	}
	v.run(Repeat)
	if n := len(v.told); n != 2 {
		t.Errorf("told %d times after %s", n, Repeat)
	}
	v.run(10 * Repeat)
	if n := len(v.told); n < 10 || n > 12 {
		t.Errorf("told %d times in eleven times %s", n, Repeat)
	}
	// It was cut off and comes back: the next probe brings it what is said of it.
	v.down[v.id(3)] = false
	v.brought = nil
	v.run(LostPeriod + Period)
	if v.stand(3, Present); len(v.brought) == 0 {
		t.Error("it is not told what was said of it")
	}
	if s := v.watch.Stats(); s.Absent+s.Doubted != 0 || s.Refuted == 0 {
		t.Errorf("%+v", s)
	}
}

func TestThreeSitesAndARefutation(t *testing.T) {
	v := newVillage(t, 40)
	const node = 20
	v.hears(v.says(19, node, 1, 0), judge.None)
	v.stand(node, Doubted)
	v.offers[v.id(17)].Site = v.offers[v.id(19)].Site // another node of the same site
	v.hears(v.says(17, node, 1, 0), judge.None)
	v.offers[v.id(15)].Site, v.offers[v.id(14)].Site = lease.Principal{}, lease.Principal{} // of none
	v.hears(v.says(15, node, 1, 0), judge.None)
	v.hears(v.says(14, node, 1, 0), judge.None)
	v.stand(node, Doubted) // one site, and those of none together
	v.hears(v.says(18, node, 1, 0), judge.None)
	v.stand(node, Absent)
	old := v.offers[v.id(node)].Offer
	v.offer(node, 2)
	v.stand(node, Present)
	if v.watch.Standing(&old) != Absent {
		t.Error("its old offer is as good as the new one")
	}
	// Whoever was refuted has no say for a while, and replays say nothing.
	v.hears(v.says(19, node, 1, time.Second), judge.Superseded)
	v.hears(v.says(19, node, 2, time.Second), judge.TooOften)
	v.run(Gap)
	v.hears(v.says(19, node, 2, 0), judge.None)
	v.hears(v.says(19, node, 2, 0), judge.Duplicate)
	v.hears(v.says(19, node, 2, -time.Second), judge.Superseded)
	v.stand(node, Doubted)
	v.run(Valid + 2*Period)
	v.stand(node, Present) // nobody says it any more
	v.run(Forgiven)
	if len(v.watch.doubts) != 0 || len(v.watch.own) != 0 {
		t.Errorf("it remembers %v, %v", v.watch.doubts, v.watch.own)
	}
}

// A suspicion of an offer that is still on its way counts when that arrives.
func TestSuspicionMayOvertakeTheOffer(t *testing.T) {
	v := newVillage(t, 40)
	for by := 17; by < 20; by++ {
		v.hears(v.says(by, 20, 7, 0), judge.None)
	}
	v.stand(20, Present)
	v.offer(20, 7)
	v.stand(20, Absent)
	v.offer(20, 8)
	v.stand(20, Present)
}

func TestHostileSuspicions(t *testing.T) {
	v := newVillage(t, 60)
	good := v.says(29, 30, 1, 0)
	forged := slices.Clone(good)
	forged[len(forged)-1] ^= 1
	stranger := func(by, node testKey) []byte {
		s, err := Seal(Suspicion{By: by.Principal(), Node: node.Principal(), Sequence: 1, Made: v.now.Unix()}, by)
		if err != nil {
			t.Fatal(err)
		}
		return s.Bytes
	}
	for _, c := range []struct {
		name string
		b    []byte
		want Verdict
	}{
		{"forged", forged, Verdict{judge.Reject, judge.Signature}},
		{"nothing", nil, Verdict{judge.Reject, judge.Malformed}},
		{"too big", make([]byte, MaxSuspicion+1), Verdict{judge.Reject, judge.TooBig}},
		{"old", v.says(29, 30, 1, -2*Valid), Verdict{judge.Ignore, judge.Expired}},
		{"from the future", v.says(29, 30, 1, time.Hour), Verdict{judge.Ignore, judge.Early}},
		{"by a stranger", stranger(keyOf("x"), v.keys[30]), Verdict{judge.Ignore, judge.Stranger}},
		{"of a stranger", stranger(v.keys[29], keyOf("x")), Verdict{judge.Ignore, judge.Stranger}},
		{"from afar", v.says(30-Plausible-1, 30, 1, 0), Verdict{judge.Ignore, judge.Distant}},
		{"from behind", v.says(31, 30, 1, 0), Verdict{judge.Ignore, judge.Distant}},
		{"in its own name", v.says(0, 3, 1, 0), Verdict{judge.Ignore, judge.Duplicate}},
		{"of long ago", v.says(29, 30, 1, 0), Verdict{judge.Accept, judge.None}},
	} {
		if got := v.step(Received{c.b}); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	// The whole village slanders one: who stands near before it counts, nobody else.
	for by := range 60 {
		if by != 30 && by != 0 {
			v.step(Received{v.says(by, 30, 1, 0)})
		}
	}
	if d := v.watch.doubts[v.id(30)]; len(d.said) > Plausible {
		t.Errorf("%d have a say", len(d.said))
	}
	v.stand(30, Absent) // among them are three sites
}

// However often suspicions come, so many are verified and no more.
func TestFloodIsVerifiedInPart(t *testing.T) {
	v := newVillage(t, 40)
	verified := 0
	v.watch.cfg.Verify = func(Sealed) error { verified++; return nil }
	for i := range 3 * Burst { // each of another sequence, so that each could be news
		s := Suspicion{By: v.id(19), Node: v.id(20), Sequence: uint64(i + 1), Made: v.now.Unix() + 1}
		signed, err := lease.SealAs(Domain, s, unsigned{})
		if err != nil {
			t.Fatal(err)
		}
		v.step(Received{signed.Bytes()})
		delete(v.watch.doubts, v.id(20)) // as if it were of ever another node
	}
	if verified != Burst {
		t.Errorf("%d verified, want %d", verified, Burst)
	}
	v.run(10 * time.Second)
	if v.step(Received{v.says(19, 20, 1, 0)}); verified != Burst+1 || v.watch.left > 11*Rate {
		t.Errorf("%d verified, %d left", verified, v.watch.left)
	}
}

type unsigned struct{}

func (unsigned) Principal() lease.Principal { return lease.Principal{} }
func (unsigned) Sign([]byte) []byte         { return make([]byte, 64) }

// Who hears that it is suspected says at once that it is not, and not too often.
func TestRefutation(t *testing.T) {
	v := newVillage(t, 20)
	v.hears(v.says(-1, 0, 1, 0), judge.None)
	if v.refutes != 1 {
		t.Fatalf("%d refutations", v.refutes)
	}
	v.offer(0, 2)
	v.hears(v.says(-2, 0, 1, 0), judge.Superseded)
	v.hears(v.says(-3, 0, 2, 0), judge.None)
	v.hears(v.says(-4, 0, 2, 0), judge.None)
	if v.refutes != 1 {
		t.Fatalf("%d refutations at once", v.refutes)
	}
	v.run(RefuteGap)
	if v.refutes != 2 {
		t.Errorf("%d refutations after %s", v.refutes, RefuteGap)
	}
	v.offer(0, 3)
	v.run(time.Minute)
	if v.refutes != 2 {
		t.Errorf("%d refutations of nothing", v.refutes)
	}
}

// A node that is cut off itself suspects nobody, then and after.
func TestWhoIsCutOffIsSilent(t *testing.T) {
	for phase := time.Duration(0); phase < 2*Period; phase += 300 * time.Millisecond {
		v := newVillage(t, 30)
		v.run(phase)
		for i := 1; i < 30; i++ {
			v.down[v.id(i)] = true
		}
		v.run(time.Minute + phase/3)
		clear(v.down)
		v.run(time.Minute)
		if len(v.told) != 0 || len(v.watch.doubts) != 0 {
			t.Errorf("cut off at %s it told of %d", phase, len(v.told))
		}
		if s := v.watch.Stats(); s.Silent == 0 {
			t.Errorf("%+v", s)
		}
		v.down[v.id(2)] = true // and it is awake again
		if v.run(3 * Period); len(v.told) != 1 {
			t.Errorf("after %s it tells of %d", phase, len(v.told))
		}
	}
}

func TestTwoOfFiveMayDie(t *testing.T) {
	v := newVillage(t, 30)
	v.down[v.id(1)], v.down[v.id(4)] = true, true
	v.run(3 * Period)
	if len(v.told) != 2 {
		t.Errorf("told %v", v.told)
	}
}

// A probe that never left is no miss.
func TestUnsentIsNoMiss(t *testing.T) {
	v := newVillage(t, 3)
	for range 100 {
		at, _ := v.watch.NextWake()
		v.now = at
		for _, e := range v.watch.Step(v.now, Tick{}) {
			if p, ok := e.(Probe); ok {
				v.watch.Step(v.now, Unsent{p.Ref})
			}
		}
	}
	if s := v.watch.Stats(); s.Probes == 0 || s.Misses != 0 {
		t.Errorf("%+v", s)
	}
	// Answers to what was never asked, or long ago, change nothing.
	for _, e := range v.watch.Step(v.now, Answered{12345}) {
		t.Errorf("%s", e)
	}
}

// Nobody is suspected by more than it takes: others' words do for one's own when
// they are repeated.
func TestRepetitionsAreShared(t *testing.T) {
	v := newVillage(t, 40)
	v.down[v.id(3)] = true
	v.run(3 * Period)
	if len(v.told) != 1 {
		t.Fatalf("told %d times", len(v.told))
	}
	for range 5 {
		v.run(Repeat - 20*time.Second)
		for by := -2; by < 1; by++ {
			if by != 0 {
				v.step(Received{v.says(by, 3, 1, 0)})
			}
		}
		v.step(Received{v.says(1, 3, 1, 0)})
		v.run(20 * time.Second)
	}
	if len(v.told) != 1 {
		t.Errorf("told %d times, though three others did", len(v.told))
	}
}

// A clock that is stepped stops nothing, and makes nobody suspect.
func TestSteppedClock(t *testing.T) {
	v := newVillage(t, 20)
	v.run(time.Minute)
	for _, step := range []time.Duration{-time.Hour, time.Hour, 90 * time.Second, -90 * time.Second} {
		v.now = v.now.Add(step)
		v.step(Tick{})
		before := v.probes[v.id(1)]
		v.run(time.Minute)
		if got := v.probes[v.id(1)] - before; got < 10 || got > 14 {
			t.Errorf("after a step of %s it was probed %d times in a minute", step, got)
		}
	}
	if len(v.told) != 0 {
		t.Errorf("told %v", v.told)
	}
}

// Once three sites have said so, the rest need not go round; later repetitions do.
func TestThreeSitesAreEnough(t *testing.T) {
	v := newVillage(t, 40)
	for by := 17; by < 20; by++ {
		v.hears(v.says(by, 20, 1, 0), judge.None)
	}
	v.hears(v.says(16, 20, 1, 0), judge.Crowded)
	v.run(Repeat)
	v.hears(v.says(16, 20, 1, 0), judge.None)
	v.hears(v.says(17, 20, 1, 0), judge.None)
	v.hears(v.says(18, 20, 1, 0), judge.None)
	v.hears(v.says(19, 20, 1, 0), judge.Crowded)
	v.stand(20, Absent)
}

// A newer offer is a word of life: the misses before it are forgotten.
func TestAnOfferForgivesMisses(t *testing.T) {
	v := newVillage(t, 20)
	v.down[v.id(3)] = true
	v.run(Period + Timeout)
	for sequence := uint64(2); sequence < 10; sequence++ {
		v.offer(3, sequence)
		v.run(Period)
	}
	if len(v.told) != 0 {
		t.Errorf("told %v", v.told)
	}
}

func TestSoManyHaveASay(t *testing.T) {
	v := newVillage(t, 40)
	d := &doubt{}
	for i := range maxAccusers {
		d.put(charge{by: lease.Principal{2, byte(i)}, sequence: 7, got: v.now}) // of an offer that is on its way
	}
	v.watch.doubts[v.id(20)] = d
	v.hears(v.says(19, 20, 1, 0), judge.Crowded)
	if d.put(charge{by: v.id(19)}) || !d.put(charge{by: lease.Principal{2, 0}, sequence: 8}) {
		t.Error("one more has a say, or one of them none")
	}
}
