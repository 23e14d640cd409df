// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"croft/lease"
	"croft/lease/leasetest"
)

// follower is a witness, w, and the logs that it can be shown.
type follower struct {
	t     *testing.T
	w     *Witness
	facts []WitnessEffect
	books map[string]*book
	now   time.Time
	names map[lease.Principal]string
}

func newFollower(t *testing.T) *follower {
	return &follower{t: t, w: NewWitness(leasetest.Who("w"), 0), books: map[string]*book{}, now: time.Unix(1_000_000, 0), names: map[lease.Principal]string{}}
}

func (f *follower) name(who string) lease.Principal {
	p := leasetest.Who(who)
	f.names[p] = who
	return p
}

// book is a log of twelve segments; each letter is another history of the node.
func (f *follower) book(node, letter string) *book {
	key := node + letter
	if f.books[key] == nil {
		f.books[key] = newBook(f.t, node, letter[0], 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)
	}
	return f.books[key]
}

func growth(t testing.TB, b *book, old, size uint64) Growth {
	g := Growth{Head: b.head(t, size).Bytes}
	if old > 0 && old < size {
		var err1, err2 error
		g.Root, err1 = b.log.Root(old)
		g.Path, err2 = b.log.Since(old, size)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
	}
	return g
}

// step gives an input and says what is due, in short.
func (f *follower) step(in WitnessInput) string {
	if again, err := ParseWitnessInput(in.String()); err != nil || again.String() != in.String() {
		f.t.Fatalf("%s reads back as %v, %v", in, again, err)
	}
	var said strings.Builder
	for _, e := range f.w.Step(f.now, in) {
		if again, err := ParseWitnessEffect(e.String()); err != nil || again.String() != e.String() {
			f.t.Fatalf("%s reads back as %v, %v", e, again, err)
		}
		switch e := e.(type) {
		case Ask:
			fmt.Fprintf(&said, "ask %s size=%d\n", f.names[e.Node], e.Size)
		case Remember:
			f.facts = append(f.facts, e)
			fmt.Fprintf(&said, "fact remember %s size=%d first=%d\n", f.names[e.Head.Node], e.Head.Size, e.First)
		case Accuse:
			f.facts = append(f.facts, e)
			s, err := VerifyProof(e.Fork.Bytes())
			fmt.Fprintf(&said, "fact accuse %s sizes %d and %d, verifies: %t\n", f.names[s.Head.Node], s.Head.Size, s.Next.Size, err == nil)
		case Discard:
			f.facts = append(f.facts, e)
			fmt.Fprintf(&said, "fact discard %s\n", f.names[e.Node])
		case Doubt:
			fmt.Fprintf(&said, "doubt %s: %s\n", f.names[e.Node], e.Why)
		}
	}
	return said.String()
}

func TestWitnessTranscript(t *testing.T) {
	var f *follower
	datadriven.RunTest(t, "testdata/witness.txt", func(t *testing.T, d *datadriven.TestData) string {
		arg := func(key string) (s string) {
			if d.HasArg(key) {
				d.ScanArgs(t, key, &s)
			}
			return s
		}
		number := func(key string) (n uint64) {
			if d.HasArg(key) {
				d.ScanArgs(t, key, &n)
			}
			return n
		}
		switch d.Cmd {
		case "witness":
			f = newFollower(t)
			return ""
		case "known":
			nodes := []Candidate{{Node: f.name("w"), Site: "home"}}
			for _, a := range d.CmdArgs {
				nodes = append(nodes, Candidate{Node: f.name(a.Key), Site: a.Vals[0]})
			}
			return f.step(Known{nodes})
		case "grown":
			var old uint64
			node := f.name(d.CmdArgs[0].Key)
			for _, e := range f.w.Watched() {
				if e.Node == node {
					old = e.Head.Size
				}
			}
			by := d.CmdArgs[0].Key
			if arg("by") != "" {
				by = arg("by")
			}
			g := growth(t, f.book(by, arg("log")), old, number("size"))
			if d.HasArg("mute") {
				g.Root, g.Path = lease.Digest{}, nil
			}
			if d.HasArg("forged") {
				h := f.book(by, arg("log")).head(t, number("size")).Head
				s, err := lease.SealAs(HeadDomain, h, leasetest.Key("mallory"))
				if err != nil {
					t.Fatal(err)
				}
				g.Head = s.Bytes()
			}
			return f.step(Grown{node, g})
		case "silent":
			return f.step(Silent{f.name(d.CmdArgs[0].Key)})
		case "told":
			node := d.CmdArgs[0].Key
			f.name(node)
			fork, ok := ForkOfHeads(f.book(node, "a").head(t, 4), f.book(node, "b").head(t, 4))
			if !ok {
				t.Fatal("no fork")
			}
			return f.step(Told{fork})
		case "displaced":
			return f.step(Displaced{f.name(d.CmdArgs[0].Key)})
		case "crash":
			f.w = NewWitness(leasetest.Who("w"), 0)
			for _, fact := range f.facts {
				f.w.Restore(fact)
			}
			return ""
		case "after":
			pass, err := time.ParseDuration(d.CmdArgs[0].Key)
			if err != nil {
				t.Fatal(err)
			}
			f.now = f.now.Add(pass)
			return f.step(Passed{})
		case "wake":
			at, ok := f.w.NextWake()
			if !ok {
				return "never\n"
			}
			return fmt.Sprintf("in %s\n", at.Sub(f.now))
		case "show":
			var b strings.Builder
			for _, e := range f.w.Watched() {
				fmt.Fprintf(&b, "%s follows=%t size=%d first=%d fork=%t doubt=%q\n", f.names[e.Node], e.Follows, e.Head.Size, e.First, e.Fork != nil, e.Doubt)
			}
			return b.String()
		}
		t.Fatalf("command %s", d.Cmd)
		return ""
	})
}

// Everybody who knows the same nodes chooses the same eight, of three sites at
// least, and a newcomer changes one at the most.
func TestWitnessesAreChosen(t *testing.T) {
	var known []Candidate
	for i := range 60 {
		site := "large" // 54 of 60
		if i%10 == 9 {
			site = fmt.Sprintf("small%d", i%20)
		}
		known = append(known, Candidate{Node: leasetest.Who(fmt.Sprint("n", i)), Site: site})
	}
	duties := map[lease.Principal]int{}
	for _, c := range known {
		chosen := Witnesses(c.Node, known)
		sites := map[string]int{}
		for _, w := range chosen {
			duties[w]++
			for _, k := range known {
				if k.Node == w {
					sites[k.Site]++
				}
			}
		}
		want := 3
		if c.Site != "large" && len(sites) < 3 {
			want = 2 // of the two others there are; its own comes last
		}
		if len(chosen) != WitnessCount || len(sites) < want || slices.Contains(chosen, c.Node) {
			t.Fatalf("witnesses of %s: %d of sites %v", c.Node.Short(), len(chosen), sites)
		}
		shuffled := slices.Clone(known)
		slices.Reverse(shuffled)
		if again := Witnesses(c.Node, shuffled); !reflect.DeepEqual(again, chosen) {
			t.Fatal("the order of those that are known matters")
		}
		more := append(slices.Clone(known), Candidate{Node: leasetest.Who("newcomer"), Site: "large"})
		gone := 0
		for _, w := range Witnesses(c.Node, more) {
			if !slices.Contains(chosen, w) {
				gone++
			}
		}
		if gone > 1 {
			t.Errorf("one newcomer changes %d witnesses", gone)
		}
	}
	if few := Witnesses(known[0].Node, known[:3]); len(few) != 2 {
		t.Errorf("of three nodes, %d are witnesses of one", len(few))
	}
	if Witnesses(known[0].Node, nil) != nil {
		t.Error("nobody is known, and somebody is chosen")
	}
}

// A witness that lies can say when it saw a head and since when it looks, not what
// the node signed.
func TestWitnessedIsBoundToTheHead(t *testing.T) {
	head := newBook(t, "n1", 1, 1, 1, 1).head(t, 3)
	key := leasetest.Key("w")
	good := Witnessed{Witness: key.Principal(), Head: head.Bytes, First: 2, At: 5}
	w, err := SealWitnessed(good, key)
	if err != nil || w.Head.ID != head.ID {
		t.Fatalf("%v, %v", w, err)
	}
	forged := head.Head
	forged.Root[0]++
	s, err := lease.SealAs(HeadDomain, forged, key)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*Witnessed)
		want   error
	}{
		"a head that the node did not sign": {func(w *Witnessed) { w.Head = s.Bytes() }, lease.ErrSignature},
		"another's word":                    {func(w *Witnessed) { w.Witness = leasetest.Who("n2") }, lease.ErrSignature},
		"a first after the head":            {func(w *Witnessed) { w.First = 4 }, ErrField},
		"no first":                          {func(w *Witnessed) { w.First = 0 }, ErrField},
		"no time":                           {func(w *Witnessed) { w.At = 0 }, ErrField},
		"the node's own word":               {func(w *Witnessed) { w.Witness = leasetest.Who("n1") }, ErrField},
	} {
		bad := good
		c.change(&bad)
		if _, err := SealWitnessed(bad, key); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	for at := range w.Bytes {
		b := slices.Clone(w.Bytes)
		b[at] ^= 1
		if _, err := OpenWitnessed(b); err == nil {
			t.Errorf("with byte %d changed it is still a word", at)
		}
	}
}

func FuzzOpenWitnessed(f *testing.F) {
	head := newBook(f, "n1", 1, 1).head(f, 1)
	w, err := SealWitnessed(Witnessed{Witness: leasetest.Who("w"), Head: head.Bytes, First: 1, At: 5}, leasetest.Key("w"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(w.Bytes)
	f.Fuzz(func(t *testing.T, b []byte) {
		if o, err := OpenWitnessed(b); err == nil && !slices.Equal(o.Bytes, b) {
			t.Error("what was opened is not what came")
		}
	})
}

// A witness whose owner chose shorter segments asks as often, those too who did not
// answer.
func TestWitnessAsksOnceASegment(t *testing.T) {
	const every = 20 * time.Second
	now := time.Unix(1_000_000, 0)
	w := NewWitness(leasetest.Who("w"), every)
	if asked := w.Step(now, Known{Nodes: []Candidate{{Node: leasetest.Who("w")}, {Node: leasetest.Who("n1")}}}); len(asked) != 1 {
		t.Fatalf("at first: %v", asked)
	}
	w.Step(now, Silent{Node: leasetest.Who("n1")})
	if at, ok := w.NextWake(); !ok || !at.Equal(now.Add(every)) {
		t.Errorf("asks again at %s, %v", at, ok)
	}
}
