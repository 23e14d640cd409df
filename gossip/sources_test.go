// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"croft/lease"
	"croft/lease/offer"
)

// pond is some neighbours with views of their own, and one node that pulls from
// them. All offers were made five minutes ago, unless they are fresh.
type pond struct {
	t       *testing.T
	open    func([]byte) (*offer.Opened, error)
	me      *View
	sources Sources
	views   map[string]*View
	offers  map[string][]byte
}

func newPond(t *testing.T) *pond {
	p := &pond{t: t, open: opened(), views: map[string]*View{}, offers: map[string][]byte{}}
	p.me = p.view()
	return p
}

func (p *pond) view() *View { return NewView(ViewConfig{Open: p.open}) }

func (p *pond) offer(node string, age time.Duration) []byte {
	if p.offers[node] == nil {
		key := keyOf(node)
		made := noon.Add(-age)
		sealed, err := offer.Seal(&offer.Offer{Node: key.Principal(), Sequence: 1, Made: made.Unix(), Until: made.Unix() + 600}, key)
		if err != nil {
			p.t.Fatal(err)
		}
		p.offers[node] = sealed.Bytes
	}
	return p.offers[node]
}

// has gives neighbours what everybody has, but for some.
func (p *pond) has(neighbour string, nodes int, but ...int) {
	v := p.view()
	for i := range nodes {
		if !slices.Contains(but, i) {
			v.Step(noon, Received{Bytes: p.offer(fmt.Sprint("node", i), 5*time.Minute)})
		}
	}
	p.views[neighbour] = v
}

// pull has the node pull from a neighbour, and tells who was found to omit what.
func (p *pond) pull(neighbour string) map[string]int {
	_, one := pull(p.t, p.views[neighbour], p.me, neighbour)
	found := map[string]int{}
	for who, n := range p.sources.Judge(noon, one) {
		for name := range p.views {
			if keyOf(name).Principal() == who {
				found[name] = n
			}
		}
	}
	return found
}

func (p *pond) expect(neighbour string, want map[string]int) {
	p.t.Helper()
	if got := p.pull(neighbour); fmt.Sprint(got) != fmt.Sprint(want) {
		p.t.Errorf("pulling from %s shows %v, want %v", neighbour, got, want)
	}
}

// A newcomer pulls from two, and holds their answers against a third: whichever of
// the two leaves something out is found out, and asked last.
func TestWhoOmitsIsFoundOut(t *testing.T) {
	for _, order := range [][3]string{{"liar", "b", "c"}, {"b", "liar", "c"}, {"b", "c", "liar"}} {
		p := newPond(t)
		p.has("liar", 40, 3, 4, 5, 6)
		p.has("b", 40)
		p.has("c", 40)
		total := map[string]int{}
		for _, who := range order {
			for name, n := range p.pull(who) {
				total[name] += n
			}
		}
		if p.me.Len() != 40 || total["liar"] < 4 || total["b"]+total["c"] != 0 {
			t.Errorf("%v: %d offers, found %v", order, p.me.Len(), total)
		}
		var all []lease.Principal
		for _, name := range order {
			all = append(all, keyOf(name).Principal())
		}
		if good := p.sources.Choose(noon, all); len(good) != 2 || slices.Contains(good, slices.Index(order[:], "liar")) {
			t.Errorf("%v: asked next %v", order, good)
		}
		if good := p.sources.Choose(noon.Add(Remembered), all); len(good) != 3 {
			t.Errorf("%v: not forgotten: %v", order, good)
		}
		if good := p.sources.Choose(noon, all[:0:0]); len(good) != 0 {
			t.Errorf("of nobody: %v", good)
		}
	}
}

// Who keeps offers back and tells them to one alone cannot make others look bad.
func TestNobodyIsBlamedByOne(t *testing.T) {
	p := newPond(t)
	p.has("b", 40)
	p.has("c", 40)
	p.has("framer", 60)
	p.expect("b", map[string]int{})
	p.expect("framer", map[string]int{})
	p.expect("c", map[string]int{})
	p.expect("framer", map[string]int{})
	p.expect("b", map[string]int{})
	if p.me.Len() != 60 {
		t.Errorf("%d offers", p.me.Len())
	}
}

// What is new may be on its way; what came by gossip minutes ago is everywhere.
func TestWhatIsSettledCounts(t *testing.T) {
	p := newPond(t)
	p.has("b", 10)
	p.pull("b")
	for i := range 8 {
		p.me.Step(noon, Received{Bytes: p.offer(fmt.Sprint("new", i), time.Minute)})
		p.me.Step(noon, Received{Bytes: p.offer(fmt.Sprint("ends", i), 9*time.Minute)}) // or has ended, by another clock
	}
	p.expect("b", map[string]int{})
	for i := range 8 {
		p.me.Step(noon, Received{Bytes: p.offer(fmt.Sprint("old", i), 5*time.Minute)})
	}
	p.expect("b", map[string]int{"b": 8})

	// One that names what it does not give.
	one := p.me.Pull(noon, keyOf("b").Principal())
	var name [NameSize]byte
	name[NameSize-1] = 1
	if _, err := one.Take(noon, PullPage{Names: name[:], Differ: 1}); err != nil {
		t.Fatal(err)
	}
	if req, _ := one.Next(); len(req.Want) != HeadSize {
		t.Fatalf("asks %+v", req)
	}
	if _, err := one.Take(noon, PullPage{}); err != nil {
		t.Fatal(err)
	}
	if found := p.sources.Judge(noon, one); found[keyOf("b").Principal()] < 1 {
		t.Errorf("found %v", found)
	}
}

// What is kept of answers is bounded, whatever they say.
func TestSourcesAreBounded(t *testing.T) {
	p := newPond(t)
	for i := range 2 * maxSources {
		p.has(fmt.Sprint("b", i), 1+i%3)
		p.pull(fmt.Sprint("b", i))
	}
	p.has("many", maxDoubts+50)
	p.pull("many")
	if len(p.sources.of) > maxSources || len(p.sources.doubts) > maxDoubts {
		t.Errorf("%d sources, %d doubts", len(p.sources.of), len(p.sources.doubts))
	}
	p.sources.forget(noon.Add(Remembered))
	if len(p.sources.of)+len(p.sources.doubts) != 0 {
		t.Errorf("%d sources, %d doubts after all is forgotten", len(p.sources.of), len(p.sources.doubts))
	}
}
