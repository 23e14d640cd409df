// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

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

// pull moves what differs from one view to another and returns the offers moved.
func pull(t *testing.T, from, to *View) (moved int) {
	t.Helper()
	req := PullRequest{Digest: to.Digest()}
	for range MaxPages {
		b, err := lease.Encode(from.Page(noon, req))
		if err != nil {
			t.Fatal(err)
		}
		page, err := DecodePullPage(b)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range page.Offers {
			to.Step(noon, Received{Bytes: o, Pulled: true})
			moved++
		}
		if page.After.IsZero() {
			return moved
		}
		req.After = page.After
	}
	t.Fatal("the pull does not end")
	return 0
}

func TestPullMovesWhatDiffers(t *testing.T) {
	old, late := NewView(ViewConfig{}), NewView(ViewConfig{})
	const n = 3*PageOffers + 5
	for i := range n {
		old.Step(noon, Received{Bytes: offerOf(t, fmt.Sprint("node", i), 1)})
	}
	if moved := pull(t, old, late); moved != n || late.Len() != n {
		t.Fatalf("moved %d, %d there, want %d", moved, late.Len(), n)
	}
	if old.Digest() != late.Digest() {
		t.Fatal("digests differ after a full pull")
	}
	if moved := pull(t, old, late); moved != 0 {
		t.Fatalf("equal views moved %d offers", moved)
	}
	old.Step(noon, Received{Bytes: offerOf(t, "node7", 2)})
	if moved := pull(t, old, late); moved == 0 || moved > n/4 || old.Digest() != late.Digest() {
		t.Fatalf("one change moved %d of %d offers; equal after: %v", moved, n, old.Digest() == late.Digest())
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
