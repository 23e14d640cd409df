// SPDX-License-Identifier: Apache-2.0

package lease_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"croft/lease"
	"croft/lease/leasetest"
)

// A small world: one parent, and every child that can be signed under it in few
// slots, at few instants, with few amounts. Statements are signed once and used
// in many sets.
type smallWorld struct {
	parent   lease.Chain
	children []lease.Opened
	proved   map[lease.ID]bool // proofs that were verified, since sets share them
}

func newSmallWorld(t testing.TB, amount, degree int, words []string) smallWorld {
	t.Helper()
	n1 := leasetest.Who("n1")
	root := fmt.Sprintf("cap(n1 cpu=8 memory=8 @%d 0h..9h) -> t0(alice cpu=%d memory=%d)", degree, amount, amount)
	w := smallWorld{proved: map[lease.ID]bool{}}
	var err error
	if w.parent, err = lease.VerifyChain(leasetest.Draw(t, root).Last().Chain(), n1); err != nil {
		t.Fatal(err)
	}
	for _, word := range words {
		c, err := lease.VerifyChain(leasetest.Draw(t, root+" -> "+word).Last().Chain(), n1)
		if err != nil {
			t.Fatalf("%s: %v", word, err)
		}
		w.children = append(w.children, c.Leaf())
	}
	return w
}

// small lists every child of the exhaustive world that a degree allows.
func small(degree int) (words []string) {
	for slot := range 2 {
		for _, term := range []string{"0h..1h", "0h..2h", "1h..3h"} {
			for cpu := 1; cpu <= 2; cpu++ {
				words = append(words, fmt.Sprintf("r%d(cpu=%d %s)", slot, cpu, term), fmt.Sprintf("t%d(b cpu=%d @100 %s)", slot, cpu, term))
			}
			if degree > 100 {
				words = append(words, fmt.Sprintf("t%d(b cpu=1 @150 %s)", slot, term))
			}
		}
	}
	return append(words, "r2(cpu=1 0h..2h)", "t2(b cpu=1 @100 1h..2h)")
}

// breaks judges a set of children by D1 to D3 as they are written: hour by hour,
// slot by slot, in whole hundredths. It is the oracle.
func (w smallWorld) breaks(set []lease.Opened) bool {
	parent := w.parent.Leaf().Statement.(*lease.Ticket)
	for hour := range int64(9) {
		at := leasetest.Epoch + hour*3600
		for r := range lease.NumResources {
			var tickets, redeems [lease.Slots]int
			var weight [lease.Slots]uint64
			for _, o := range set {
				switch st := o.Statement.(type) {
				case *lease.Ticket:
					if st.Term().Covers(at) {
						tickets[st.Slot]++
						weight[st.Slot] = max(weight[st.Slot], st.RSet[r]*uint64(st.Degree))
					}
				case *lease.Redeem:
					if st.Term().Covers(at) {
						redeems[st.Slot]++
						weight[st.Slot] = max(weight[st.Slot], st.RSet[r]*100)
					}
				}
			}
			sum := uint64(0)
			for s := range weight {
				if tickets[s] > 1 || tickets[s] == 1 && redeems[s] > 0 {
					return true
				}
				sum += weight[s]
			}
			if sum > parent.RSet[r]*uint64(parent.Degree) {
				return true
			}
		}
	}
	return false
}

// judge adds the set in its order. The first child that breaks a rule completes a
// conflict, and none before it does; the proof holds, and not without any part.
func (w smallWorld) judge(t *testing.T, set []lease.Opened) {
	t.Helper()
	children := lease.NewChildren(w.parent.Leaf())
	broken := false
	for i, o := range set {
		found := children.Add(o)
		before := broken
		broken = w.breaks(set[:i+1])
		if !before && (found != nil) != broken {
			t.Fatalf("child %d of %s: found %v, want %v", i, describe(set), found != nil, broken)
		}
		if found == nil {
			continue
		}
		w.proves(t, set, found)
		if !slices.ContainsFunc(found.Children, func(c lease.Opened) bool { return c.ID == o.ID }) {
			t.Fatalf("%s: the conflict was there before child %d", describe(set), i)
		}
	}
	found := children.Search(w.parent.Root().Term())
	if (found != nil) != broken {
		t.Fatalf("%s: search finds %v, want %v", describe(set), found != nil, broken)
	}
	if found != nil {
		w.proves(t, set, found)
	}
}

func (w smallWorld) proves(t *testing.T, set []lease.Opened, found *lease.Found) {
	t.Helper()
	p := found.Proof(w.parent)
	if w.proved[p.ID()] {
		return
	}
	w.proved[p.ID()] = true
	v, err := p.Verify()
	if err != nil || v.Principal != leasetest.Who("alice") || v.Term != found.Term {
		t.Fatalf("%s: %v, verdict %+v", describe(set), err, v)
	}
	for i := range p.Evidence {
		less := p
		less.Evidence = slices.Delete(slices.Clone(p.Evidence), i, i+1)
		for at := range int64(3) {
			if less.At = leasetest.Epoch + at*3600; p.K == lease.ProofTwice {
				less.At = 0
			}
			if _, err := less.Verify(); err == nil {
				t.Fatalf("%s: holds without child %d", describe(set), i)
			}
		}
	}
	if !w.breaks(found.Children) {
		t.Fatalf("%s: the children found break no rule", describe(set))
	}
}

func describe(set []lease.Opened) string {
	var b bytes.Buffer
	for _, o := range set {
		switch st := o.Statement.(type) {
		case *lease.Ticket:
			fmt.Fprintf(&b, "t%d(%s @%d %d..%d) ", st.Slot, st.RSet, st.Degree, (st.From-leasetest.Epoch)/3600, (st.Until-leasetest.Epoch)/3600)
		case *lease.Redeem:
			fmt.Fprintf(&b, "r%d(%s %d..%d) ", st.Slot, st.RSet, (st.From-leasetest.Epoch)/3600, (st.Until-leasetest.Epoch)/3600)
		}
	}
	return b.String()
}

// Every set of four children of the small world: those that keep the rules prove
// nothing, the others prove exactly what they break.
func TestSmallWorldsExhaustively(t *testing.T) {
	for _, degree := range []int{100, 150} {
		w := newSmallWorld(t, 3, degree, small(degree))
		n := len(w.children)
		if degree > 100 && testing.Short() {
			n /= 2
		}
		set := make([]lease.Opened, 0, 4)
		for a := range n {
			for b := range a {
				for c := range b {
					set = append(set[:0], w.children[c], w.children[a], w.children[b])
					w.judge(t, set)
					if degree > 100 {
						continue // three at a time
					}
					for d := range c {
						w.judge(t, append(set, w.children[d]))
					}
				}
			}
		}
	}
}

// Larger worlds, at random.
func TestRandomWorlds(t *testing.T) {
	for _, degree := range []int{100, 170} {
		rng := rand.New(rand.NewPCG(3, uint64(degree)))
		var words []string
		for i := range 150 {
			from := rng.IntN(6)
			term := fmt.Sprintf("%dh..%dh", from, from+1+rng.IntN(3))
			rset := []string{"cpu=%d", "memory=%d", "cpu=%d memory=3"}[rng.IntN(3)]
			rset = fmt.Sprintf(rset, 1+rng.IntN(4))
			if slot := rng.IntN(5); rng.IntN(3) > 0 {
				words = append(words, fmt.Sprintf("r%d(%s %s request=%d)", slot, rset, term, i))
			} else {
				words = append(words, fmt.Sprintf("t%d(b %s @%d %s)", slot, rset, 100+rng.IntN(degree-99), term))
			}
		}
		w := newSmallWorld(t, 6, degree, words)
		for range 150 {
			w.random(t, rng)
		}
	}
}

// random judges a set in random order; then the same in another order, which must
// hold the same conflict; then a book that was kept, and whatever part of it
// somebody got hold of.
func (w smallWorld) random(t *testing.T, rng *rand.Rand) {
	t.Helper()
	var set []lease.Opened
	for _, i := range rng.Perm(len(w.children))[:2+rng.IntN(14)] {
		set = append(set, w.children[i])
	}
	w.judge(t, set)
	if a, b := w.search(set), w.search(shuffled(rng, set)); a != b {
		t.Fatalf("%s: another conflict in another order", describe(set))
	}

	var book []lease.Opened
	for _, i := range rng.Perm(len(w.children)) {
		if kept := append(book, w.children[i]); !w.breaks(kept) {
			book = kept
		}
	}
	children := lease.NewChildren(w.parent.Leaf())
	for _, o := range shuffled(rng, book) {
		if rng.IntN(8) == 0 {
			continue
		}
		if found := children.Add(o); found != nil {
			t.Fatalf("%s: %s in a book that was kept", describe(book), found.Kind)
		}
	}
	root := w.parent.Root().Term()
	if found := children.Search(root); found != nil {
		t.Fatalf("%s: %s in a book that was kept", describe(book), found.Kind)
	}
	parent := w.parent.Leaf().Statement.(*lease.Ticket)
	if peak := children.Weight(root); peak[lease.CPU]*100 > parent.RSet[lease.CPU]*uint64(parent.Degree)+99 {
		t.Fatalf("%s weigh %s", describe(book), peak)
	}
}

// Forgetting loses nothing that has not ended, and breaks nothing.
func TestForgetInRandomWorlds(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	var words []string
	for i := range 120 {
		from := rng.IntN(7)
		kind := []string{"t%d(b cpu=%d %dh..%dh @100)", "r%d(cpu=%d %dh..%dh request=%d)"}[min(1, rng.IntN(4))]
		args := []any{rng.IntN(5), 1 + rng.IntN(4), from, from + 1 + rng.IntN(2)}
		if kind[0] == 'r' {
			args = append(args, i)
		}
		words = append(words, fmt.Sprintf(kind, args...))
	}
	w := newSmallWorld(t, 6, 100, words)
	for range 300 {
		children := lease.NewChildren(w.parent.Leaf())
		hour := int64(rng.IntN(9))
		now := leasetest.Epoch + hour*3600
		var left []lease.Opened
		for i, at := range rng.Perm(len(w.children))[:20] {
			if i == 10 {
				children.Forget(now)
			}
			o := w.children[at]
			if until(o) > now || i >= 10 {
				left = append(left, o)
			}
			if found := children.Add(o); found != nil {
				w.proves(t, left, found)
			}
		}
		// What goes on after the instant is judged as if nothing had been forgotten.
		rest := lease.Term{From: now, Until: leasetest.Epoch + 9*3600}
		found := children.Search(rest)
		whole := lease.NewChildren(w.parent.Leaf())
		for _, o := range left {
			whole.Add(o)
		}
		if want := whole.Search(rest); (found == nil) != (want == nil) {
			t.Fatalf("%s: %v after forgetting, want %v", describe(left), found, want)
		}
	}
}

func until(o lease.Opened) int64 {
	switch st := o.Statement.(type) {
	case *lease.Ticket:
		return st.Until
	case *lease.Redeem:
		return st.Until
	}
	return 0
}

func (w smallWorld) search(set []lease.Opened) (id lease.ID) {
	children := lease.NewChildren(w.parent.Leaf())
	for _, o := range set {
		children.Add(o)
	}
	if found := children.Search(w.parent.Root().Term()); found != nil {
		id = found.Proof(w.parent).ID()
	}
	return id
}

func shuffled(rng *rand.Rand, set []lease.Opened) []lease.Opened {
	out := slices.Clone(set)
	rng.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// What has ended is forgotten, and only that.
func TestForget(t *testing.T) {
	w := newSmallWorld(t, 3, 100, []string{"t0(b cpu=1 0h..1h)", "t1(b cpu=1 0h..2h)", "r2(cpu=1 1h..3h)", "r2(cpu=1 1h..2h request=9)"})
	children := lease.NewChildren(w.parent.Leaf())
	for _, o := range w.children {
		children.Add(o)
	}
	if children.Len() != 3 { // the last is outweighed
		t.Errorf("%d kept", children.Len())
	}
	hour := func(h int64) int64 { return leasetest.Epoch + h*3600 }
	if got := children.Weight(lease.Term{From: hour(0), Until: hour(3)})[lease.CPU]; got != 2 {
		t.Errorf("peak %d", got)
	}
	for h, want := range []int{3, 2, 1, 0} {
		if children.Forget(hour(int64(h))); children.Len() != want {
			t.Errorf("%d left at hour %d, want %d", children.Len(), h, want)
		}
	}
}

// The largest amounts there are: sums that do not fit into 64 bits are exact.
func TestConflictsOfTheLargestAmounts(t *testing.T) {
	const most = 1 << 60
	root := fmt.Sprintf("cap(n1 disk=%d @10000)", most)
	var some, tree []string
	for i := range 64 {
		some = append(some, fmt.Sprintf("t%d(a disk=%d @10000)", i, most/64))
		tree = append(tree, fmt.Sprintf("t%d(a disk=%d @10000)", i, most))
	}
	if found, _ := search(t, root+" -> { "+join(some)+" }"); found != nil { // to the last byte
		t.Errorf("found %d", len(found.Children))
	}
	some[63] = fmt.Sprintf("t63(a disk=%d @10000)", most/64+1)
	found, parent := search(t, root+" -> { "+join(some)+" }")
	if found == nil || len(found.Children) != 64 {
		t.Fatalf("found %+v", found)
	}
	p := found.Proof(parent)
	v, err := p.Verify()
	if err != nil || v.Weighed.Compare(v.Limit) <= 0 || v.Weighed.String() != "115292150460684697700" || v.Limit.String() != "115292150460684697600" {
		t.Errorf("%v: %s of %s", err, v.Weighed, v.Limit)
	}
	if n := len(p.Bytes()); n > lease.MaxConflict {
		t.Errorf("%d bytes", n)
	}
	if found, _ := search(t, root+" -> { "+join(tree[:2])+" }"); found == nil || found.Kind != lease.ProofOver {
		t.Errorf("found %+v", found)
	}
}

func join(list []string) string { return strings.Join(list, ", ") }
