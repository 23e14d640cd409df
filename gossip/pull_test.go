// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"croft/lease"
	"croft/lease/judge"
	"croft/lease/offer"
)

func offerOf(t testing.TB, node string, seq uint64) []byte {
	t.Helper()
	key := keyOf(node)
	sealed, err := offer.Seal(&offer.Offer{Node: key.Principal(), Sequence: seq, Made: noon.Unix(), Until: noon.Unix() + 600}, key)
	if err != nil {
		t.Fatal(err)
	}
	return sealed.Bytes
}

// tally is what a pull took.
type tally struct{ asks, bytes, offers, news int }

// pull moves what differs from one view to another, as bytes.
func pull(t testing.TB, from, to *View, by string) (sum tally, p *Pull) {
	t.Helper()
	p = to.Pull(noon, keyOf(by).Principal())
	for req, ok := p.Next(); ok; req, ok = p.Next() {
		asked, err := lease.Encode(req)
		if err != nil {
			t.Fatal(err)
		}
		read, err := DecodePullRequest(asked)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := lease.Encode(from.Page(noon, read))
		if err != nil {
			t.Fatal(err)
		}
		page, err := DecodePullPage(answer)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Take(noon, page); err != nil {
			t.Fatal(err)
		}
		sum.asks++
		sum.bytes += len(asked) + len(answer)
		sum.offers += len(page.Offers)
	}
	sum.news = p.News()
	return sum, p
}

// opened opens each offer once, for all the views of a test.
func opened() func([]byte) (*offer.Opened, error) {
	all := map[string]*offer.Opened{}
	return func(b []byte) (*offer.Opened, error) {
		if o := all[string(b)]; o != nil {
			return o, nil
		}
		o, err := offer.Open(b, nil)
		if err == nil {
			all[string(b)] = &o
		}
		return &o, err
	}
}

// What a pull takes, at a thousand offers and at ten thousand: next to nothing when
// the views are equal, and little when one offer is newer.
func TestAPullTakesWhatDiffers(t *testing.T) {
	for _, n := range []int{1_000, DefaultCap} {
		cfg := ViewConfig{Open: opened()}
		old, late := NewView(cfg), NewView(cfg)
		size := 0
		for i := range n {
			b := offerOf(t, fmt.Sprint("node", i), 1)
			old.Step(noon, Received{Bytes: b})
			size += len(b)
		}
		full, _ := pull(t, old, late, "old")
		if full.news != n || old.Digest() != late.Digest() {
			t.Fatalf("%d offers: a full pull brought %d", n, full.news)
		}
		equal, _ := pull(t, old, late, "old")
		old.Step(noon, Received{Bytes: offerOf(t, "node7", 2)})
		one, _ := pull(t, old, late, "old")
		back, _ := pull(t, late, old, "late")
		t.Logf("%5d offers of %d bytes: all %d bytes in %d asks, none %d in %d, one %d in %d",
			n, size/n, full.bytes, full.asks, equal.bytes, equal.asks, one.bytes, one.asks)
		if full.bytes > size+size/10 || equal.bytes > 1<<10 || equal.offers != 0 || one.bytes > 4<<10 || one.offers != 1 ||
			old.Digest() != late.Digest() || back.offers != 0 {
			t.Errorf("%d offers: all %+v, none %+v, one %+v, back %+v", n, full, equal, one, back)
		}
	}
}

// Whatever two views hold, after a pull each way both hold the newer offer of each
// node, no offer went that was not news, and a third pull finds nothing.
func TestPullsReconcile(t *testing.T) {
	open := opened()
	rapid.Check(t, func(r *rapid.T) {
		var views [2]*View
		newest := map[string]uint64{}
		for i := range views {
			views[i] = NewView(ViewConfig{Open: open})
			for _, j := range rapid.SliceOfNDistinct(rapid.IntRange(0, 199), 0, 200, rapid.ID[int]).Draw(r, "nodes") {
				node, seq := fmt.Sprint("node", j), rapid.Uint64Range(1, 3).Draw(r, "sequence")
				views[i].Step(noon, Received{Bytes: offerOf(t, node, seq)})
				newest[node] = max(newest[node], seq)
			}
		}
		for i := range views {
			if sum, _ := pull(t, views[i], views[1-i], "other"); sum.offers != sum.news {
				r.Fatalf("%d offers went, %d were news", sum.offers, sum.news)
			}
		}
		for _, v := range views {
			if v.Len() != len(newest) {
				r.Fatalf("%d nodes, want %d", v.Len(), len(newest))
			}
			for node, seq := range newest {
				if e := v.find(headOf(keyOf(node).Principal())); e == nil || e.offer.Sequence != seq {
					r.Fatalf("%s: %v, want sequence %d", node, e, seq)
				}
			}
		}
		if sum, _ := pull(t, views[0], views[1], "other"); sum.asks != 1 || sum.offers != 0 {
			r.Fatalf("a third pull: %+v", sum)
		}
	})
}

// An answer that leads nowhere ends the pull.
func TestPullsEnd(t *testing.T) {
	forged := offerOf(t, "n", 1)
	forged[len(forged)-1] ^= 1
	names := func(n int) (b []byte) {
		for i := range n {
			b = binary.BigEndian.AppendUint64(b, uint64(i+1)<<32)
			b = binary.BigEndian.AppendUint64(b, 9)
		}
		return b
	}
	for what, c := range map[string]struct {
		answer func(i int, req PullRequest) PullPage
		err    error
		asks   int
	}{
		"a cursor that stands": {func(int, PullRequest) PullPage {
			return PullPage{Names: names(1), Differ: 1, After: lease.Principal{1}}
		}, lease.ErrSyntax, 2},
		"a cursor behind nothing": {func(i int, _ PullRequest) PullPage { return PullPage{Differ: 1, After: lease.Principal{byte(i + 1)}} }, nil, 1},
		"a forged offer":          {func(int, PullRequest) PullPage { return PullPage{Offers: [][]byte{forged}, Differ: 1} }, lease.ErrSyntax, 1},
		"names of nothing": {func(i int, req PullRequest) PullPage {
			if len(req.Want) > 0 {
				return PullPage{}
			}
			return PullPage{Names: names(PageNames), Differ: ^uint64(0)}
		}, nil, 1 + PageNames/PageOffers},
		"pages without end": {func(i int, req PullRequest) PullPage {
			return PullPage{Names: names(1), Differ: 1, After: lease.Principal{0, byte(i >> 8), byte(i), 1}}
		}, nil, MaxPages},
	} {
		v := NewView(ViewConfig{})
		v.Step(noon, Received{Bytes: offerOf(t, "mine", 1)})
		p, asks := v.Pull(noon, lease.Principal{1}), 0
		var err error
		for req, ok := p.Next(); ok && asks <= MaxPages; req, ok = p.Next() {
			_, err = p.Take(noon, c.answer(asks, req))
			asks++
		}
		if !errors.Is(err, c.err) || asks != c.asks {
			t.Errorf("%s: %d asks, %v; want %d, %v", what, asks, err, c.asks, c.err)
		}
	}
}

func TestPulledOfferIsStillPassedOnOnce(t *testing.T) {
	v, b := NewView(ViewConfig{}), offerOf(t, "n", 1)
	for i, want := range []Verdict{{judge.Accept, judge.None}, {judge.Accept, judge.None}, {judge.Ignore, judge.Duplicate}} {
		if got := v.Step(noon, Received{Bytes: b, Pulled: i == 0})[0]; got != want {
			t.Fatalf("step %d: %s, want %s", i, got, want)
		}
	}
}

func TestOversizePagesAreRefused(t *testing.T) {
	many := PullPage{Offers: make([][]byte, PageOffers+1)}
	for i := range many.Offers {
		many.Offers[i] = []byte{1}
	}
	for name, p := range map[string]PullPage{
		"many offers": many,
		"large offer": {Offers: [][]byte{make([]byte, offer.MaxOffer+1)}},
		"many names":  {Names: make([]byte, (PageNames+1)*NameSize)},
		"half a name": {Names: make([]byte, NameSize+1)},
	} {
		b, err := lease.Encode(p)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := DecodePullPage(b); !errors.Is(err, ErrPage) {
			t.Errorf("%s: %v, want ErrPage", name, err)
		}
	}
	if _, err := DecodePullPage(make([]byte, MaxPage+1)); !errors.Is(err, lease.ErrTooBig) {
		t.Errorf("oversize: %v", err)
	}
	req, err := lease.Encode(PullRequest{Digest: NewView(ViewConfig{}).Digest()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := DecodePullRequest(req); err != nil {
		t.Errorf("empty digest: %v", err)
	}
	for name, c := range map[string]struct {
		req  PullRequest
		want error
	}{
		"half a head":   {PullRequest{Want: make([]byte, HeadSize+1)}, ErrPage},
		"many heads":    {PullRequest{Want: make([]byte, (PageOffers+1)*HeadSize)}, ErrPage},
		"two questions": {PullRequest{Want: make([]byte, HeadSize), Digest: Digest{1}}, lease.ErrField},
	} {
		b, err := lease.Encode(c.req)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := DecodePullRequest(b); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestPace(t *testing.T) {
	var p Pace
	total := lease.RSet{lease.CPU: 1000}
	p.Changed(total, total, false)
	if !p.Due(noon) {
		t.Fatal("the first offer waits")
	}
	p.Published(noon)
	after := func(d time.Duration) bool { return p.Due(noon.Add(d)) }
	if after(MaxGap-time.Second) || !after(MaxGap) {
		t.Error("without a change: not due exactly at MaxGap")
	}
	p.Changed(lease.RSet{lease.CPU: 901}, total, false)
	if after(MinGap) {
		t.Error("9.9 % is a change")
	}
	p.Changed(lease.RSet{lease.CPU: 900}, total, false)
	if after(MinGap-time.Second) || !after(MinGap) {
		t.Error("10 %: not due exactly at MinGap")
	}
	p.Changed(total, total, false)
	if after(MinGap) {
		t.Error("a change that went back is still due")
	}
	p.Changed(total, total, true)
	p.Changed(total, total, false)
	if !after(MinGap) {
		t.Error("an attribute's change is forgotten")
	}
}

func TestNotice(t *testing.T) {
	key := keyOf("n")
	good := Notice{Node: key.Principal(), Sequence: 1, Made: noon.Unix(), Until: noon.Unix() + 60, RSet: lease.RSet{lease.CPU: 5}}
	for name, c := range map[string]struct {
		spoil func(*Notice)
		key   testKey
		at    time.Duration
		want  Verdict
	}{
		"good":     {func(*Notice) {}, key, 0, Verdict{judge.Accept, judge.None}},
		"old":      {func(*Notice) {}, key, time.Hour, Verdict{judge.Ignore, judge.Expired}},
		"early":    {func(*Notice) {}, key, -time.Hour, Verdict{judge.Ignore, judge.Early}},
		"forged":   {func(*Notice) {}, keyOf("x"), 0, Verdict{judge.Reject, judge.Signature}},
		"nothing":  {func(n *Notice) { n.RSet = lease.RSet{} }, key, 0, Verdict{judge.Reject, judge.Field}},
		"too long": {func(n *Notice) { n.Until = n.Made + lease.MaxTerm + 1 }, key, 0, Verdict{judge.Reject, judge.Field}},
	} {
		n := good
		c.spoil(&n)
		b, err := SealNotice(n, c.key)
		if err != nil {
			t.Fatal(err)
		}
		_, err = OpenNotice(b, noon.Add(c.at))
		if j, r := judge.Of(err); (Verdict{j, r}) != c.want {
			t.Errorf("%s: %s %s (%v), want %s", name, j, r, err, c.want)
		}
	}
}

// Notices are passed on of nodes that are known, and of each only so many.
func TestNoticesAreBounded(t *testing.T) {
	var n Notices
	known := func(p lease.Principal) bool { return p == keyOf("known").Principal() }
	counts := map[Verdict]int{}
	for i := range 200 {
		for _, name := range []string{"known", "stranger"} {
			key := keyOf(name)
			b, err := SealNotice(Notice{Node: key.Principal(), Sequence: uint64(i + 1), Made: noon.Unix(), Until: noon.Unix() + 60, RSet: lease.RSet{lease.CPU: 5}}, key)
			if err != nil {
				t.Fatal(err)
			}
			_, v := n.Receive(noon.Add(time.Duration(i/100)*time.Second), b, known)
			counts[v]++
		}
	}
	if counts[Verdict{judge.Accept, judge.None}] != NoticeBurst+NoticeRate || counts[Verdict{judge.Ignore, judge.Stranger}] != 200 {
		t.Errorf("%v", counts)
	}
}

func FuzzView(f *testing.F) {
	b := offerOf(f, "n", 1)
	f.Add(b)
	f.Add(b[:40])
	f.Fuzz(func(t *testing.T, b []byte) {
		v := NewView(ViewConfig{})
		verdict, ok := v.Step(noon, Received{Bytes: b})[0].(Verdict)
		if !ok || (verdict.Judgement == judge.Accept) != (v.Len() == 1) {
			t.Fatalf("%v with %d nodes", verdict, v.Len())
		}
	})
}

func FuzzDecode(f *testing.F) {
	v := NewView(ViewConfig{})
	v.Step(noon, Received{Bytes: offerOf(f, "n", 1)})
	page, _ := lease.Encode(v.Page(noon, PullRequest{}))
	req, _ := lease.Encode(PullRequest{Digest: v.Digest()})
	notice, _ := SealNotice(Notice{Node: keyOf("n").Principal()}, keyOf("n"))
	f.Add(page)
	f.Add(req)
	f.Add(notice)
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := DecodePullPage(b); err == nil {
			again, err := lease.Encode(p)
			if err != nil || !bytes.Equal(again, b) {
				t.Fatalf("%x reads as %+v", b, p)
			}
		}
		if r, err := DecodePullRequest(b); err == nil {
			NewView(ViewConfig{}).Page(noon, r)
		}
		OpenNotice(b, noon)
	})
}
