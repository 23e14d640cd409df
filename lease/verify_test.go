// SPDX-License-Identifier: Apache-2.0

package lease_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"croft/lease"
	"croft/lease/leasetest"
)

// Each line is a chain and its verdict; the rules are those of
// docs/protocol/claims.md. The node asked is always n1.
var chains = []struct{ rule, verdict, drawing string }{
	{"C2", "ok", "cap(n1 cpu=4)"},
	{"C2", "ok", "cap(n1 cpu=4) -> t0(alice cpu=2)"},
	{"C2", "ok", "cap(n1 cpu=4) -> t0(alice cpu=2) -> r0(cpu=1)"},
	{"C2", "ok", "cap(n1 cpu=4 @150) -> t0(alice @120) -> t63(bob @110) -> t1(carol @100) -> r0()"},
	{"C2", "ok", "cap(n1 cpu=4) -> t0(n1) -> r0()"}, // the node may hold its own ticket

	{"C2", "chain", "ask(alice n1 cpu=1)"},
	{"C2", "chain", "cap(n1 cpu=4) -> r0(by=n1)"},
	{"C2", "chain", "cap(n1 cpu=4) -> cap(n1 cpu=4)"},
	{"C2", "chain", "cap(n1 cpu=4) -> t0(alice) -> r0() -> t1(alice)"},
	{"C2", "chain", "cap(n1 cpu=4) -> t0(alice) -> r0() -> r1()"},
	{"C2", "chain", "cap(n1 cpu=4) -> t0(alice) -> lease()"},

	{"C3", "chain", "cap(n1 cpu=4) -> t0(alice) -> r0(parent=0)"},
	{"C3", "chain", "cap(n1 cpu=4) -> t0(alice) -> t0(bob) -> r0(parent=1)"},

	{"C4", "wrong-node", "cap(n2 cpu=4)"},
	{"C4", "wrong-node", "cap(n2 cpu=4) -> t0(alice) -> r0()"},
	{"C4", "wrong-node", "cap(n1 cpu=4) -> t0(alice node=n2) -> r0(node=n1)"},
	{"C4", "wrong-node", "cap(n1 cpu=4) -> t0(alice) -> r0(node=n2)"},

	{"C5", "not-holder", "cap(n1 cpu=4) -> t0(mallory by=mallory)"},
	{"C5", "not-holder", "cap(n1 cpu=4) -> t0(alice) -> r0(by=mallory)"},
	{"C5", "not-holder", "cap(n1 cpu=4) -> t0(alice) -> r0(by=n1)"}, // nor may the grantor
	{"C5", "not-holder", "cap(n1 cpu=4) -> t0(alice) -> t0(bob) -> r0(by=alice)"},

	{"C6", "exceeds", "cap(n1 cpu=4) -> t0(alice cpu=5)"},
	{"C6", "exceeds", "cap(n1 cpu=4) -> t0(alice cpu=1 memory=1)"},
	{"C6", "exceeds", "cap(n1 cpu=4) -> t0(alice cpu=2) -> r0(cpu=3)"},
	{"C6", "ok", "cap(n1 cpu=4 @200) -> { t0(alice cpu=4), t1(bob cpu=4) }"}, // each by itself fits

	{"C7", "ok", "cap(n1 cpu=4 0h..9h) -> t0(alice 2h..5h) -> r0(2h..5h)"},
	{"C7", "exceeds", "cap(n1 cpu=4 1h..9h) -> t0(alice 0h59m59s..5h)"},
	{"C7", "exceeds", "cap(n1 cpu=4 1h..9h) -> t0(alice 2h..9h0m1s)"},
	{"C7", "exceeds", "cap(n1 cpu=4 1h..9h) -> t0(alice 2h..5h) -> r0(5h..6h)"},
	{"S6", "field", "cap(n1 cpu=4 1h..9h) -> t0(alice 5h..5h)"},
	{"S6", "field", "cap(n1 cpu=4 1h..9h) -> t0(alice 5h..4h)"},

	{"C8", "ok", "cap(n1 cpu=4 @150) -> t0(alice @150)"},
	{"C8", "exceeds", "cap(n1 cpu=4 @150) -> t0(alice @151)"},
	{"C8", "exceeds", "cap(n1 cpu=4 @150) -> t0(alice @100) -> t0(bob @101)"},
	{"S8", "field", "cap(n1 cpu=4 @99)"},
	{"S8", "field", "cap(n1 cpu=4) -> t0(alice @99)"},

	{"C9", "signature", "cap(n1 cpu=4 sig=mallory)"},
	{"C9", "signature", "cap(n1 cpu=4) -> t0(alice sig=alice) -> r0()"},
	{"C9", "signature", "cap(n1 cpu=4) -> t0(alice) -> r0(sig=n1)"},
	{"S7", "field", "cap(n1 rset=none)"},
	{"S8", "field", "cap(n1 cpu=4) -> t64(alice)"},

	{"C10", "ok", "cap(n1 cpu=4 fanout=1024) -> t0(alice) -> r0(fanout=1)"},
	{"C10", "ok", "cap(n1 cpu=4) -> t0(alice fanout=50) -> t0(bob) -> r0(fanout=50)"},
	{"C10", "ok", "cap(n1 cpu=4) -> t0(alice) -> r0(fanout=300)"},
	{"C10", "exceeds", "cap(n1 cpu=4 fanout=50) -> t0(alice fanout=51)"},
	{"C10", "exceeds", "cap(n1 cpu=4 fanout=50) -> t0(alice fanout=0)"},
	{"C10", "exceeds", "cap(n1 cpu=4) -> t0(alice fanout=50) -> t0(bob fanout=40) -> r0(fanout=41)"},
	{"C10", "exceeds", "cap(n1 cpu=4) -> t0(alice fanout=50) -> r0(fanout=0)"},
	{"S8", "field", "cap(n1 cpu=4) -> t0(alice fanout=1025)"},
}

func TestChains(t *testing.T) {
	for _, c := range chains {
		tree := leasetest.Draw(t, c.drawing)
		for _, d := range tree {
			if !leaf(tree, d) {
				continue
			}
			chain, err := lease.VerifyChain(d.Chain(), leasetest.Who("n1"))
			if got := leasetest.Verdict(err); got != c.verdict {
				t.Errorf("%s: %s\n\tgot %s (%v), want %s", c.rule, c.drawing, got, err, c.verdict)
			}
			if err == nil && (chain.Leaf().ID != d.ID || chain.Root() == nil || !slices.EqualFunc(chain.Bytes(), d.Chain(), bytes.Equal)) {
				t.Errorf("%s: %s: not the chain that was drawn", c.rule, c.drawing)
			}
			if err != nil && chain.Len() != 0 {
				t.Errorf("%s: %s: a chain comes with the error", c.rule, c.drawing)
			}
		}
	}
}

func leaf(tree leasetest.Tree, d *leasetest.Drawn) bool {
	return !slices.ContainsFunc(tree, func(o *leasetest.Drawn) bool { return o.Up == d })
}

// C1: sixteen claims and a redeem, no more.
func TestChainDepth(t *testing.T) {
	n1 := leasetest.Who("n1")
	full := "cap(n1 cpu=4)" + strings.Repeat(" -> t0(n1)", lease.MaxDepth-1)
	for drawing, want := range map[string]string{
		full:                         "ok",
		full + " -> r0()":            "ok",
		full + " -> t0(n1)":          "depth",
		full + " -> t0(n1) -> r0()":  "depth",
		full + " -> r0() -> lease()": "depth",
	} {
		_, err := lease.VerifyChain(leasetest.Draw(t, drawing).Last().Chain(), n1)
		if got := leasetest.Verdict(err); got != want {
			t.Errorf("%s: got %s (%v), want %s", drawing, got, err, want)
		}
	}
	headless := leasetest.Draw(t, "cap(n1 cpu=4) -> t0(alice) -> r0()").Last().Chain()[1:]
	if _, err := lease.VerifyChain(headless, n1); !errors.Is(err, lease.ErrChain) { // C2
		t.Errorf("chain without its capacity: got %v", err)
	}
	if _, err := lease.VerifyChain(nil, n1); !errors.Is(err, lease.ErrChain) {
		t.Errorf("empty chain: got %v", err)
	}
}

func TestChainErrorSaysWhere(t *testing.T) {
	d := leasetest.Draw(t, "cap(n1 cpu=4) -> t0(alice cpu=2) -> r0(cpu=3)").Last()
	_, err := lease.VerifyChain(d.Chain(), leasetest.Who("n1"))
	var at *lease.ChainError
	if !errors.As(err, &at) || at.Position != 2 || at.Kind != lease.KindRedeem {
		t.Fatalf("got %v", err)
	}
	if want := "statement 2 of the chain (redeem): cpu=3 of 2: exceeds the parent"; err.Error() != want {
		t.Errorf("got  %s\nwant %s", err, want)
	}
	garbage := d.Chain()
	garbage[1] = []byte("hello")
	if _, err = lease.VerifyChain(garbage, leasetest.Who("n1")); !errors.As(err, &at) || at.Position != 1 || at.Kind != 0 {
		t.Errorf("got %v", err)
	}
}

// Extending a verified chain gives what verifying the whole would have given.
func TestExtend(t *testing.T) {
	n1 := leasetest.Who("n1")
	for _, c := range chains {
		whole := leasetest.Draw(t, c.drawing).Last().Chain()
		_, want := lease.VerifyChain(whole, n1)
		for cut := 1; cut < len(whole); cut++ {
			upper, err := lease.VerifyChain(whole[:cut], n1)
			if err != nil {
				continue
			}
			before := upper.Len()
			_, got := upper.Extend(whole[cut:]...)
			if leasetest.Verdict(got) != leasetest.Verdict(want) || upper.Len() != before {
				t.Errorf("%s cut at %d: got %v, want %v", c.drawing, cut, got, want)
			}
		}
	}
	if _, err := (lease.Chain{}).Extend(); !errors.Is(err, lease.ErrChain) {
		t.Errorf("extending nothing: got %v", err)
	}
}

// The wish is the last but one statement, the answer the last.
var answers = []struct{ rule, verdict, drawing string }{
	{"A1", "ok", "ask(alice n1 cpu=1) -> hold()"},
	{"A1", "ok", "ask(alice n1 cpu=1) -> lease()"},
	{"A1", "ok", "ask(alice n1 cpu=1) -> reject(local:capacity)"},
	{"A1", "ok", "ask(alice n1 cpu=1) -> reject(exhausted)"},
	{"A1", "ok", "cap(n1 cpu=4) -> t0(alice) -> r0(cpu=1) -> lease()"},
	{"A1", "answer", "cap(n1 cpu=1) -> ask(alice n1 cpu=1) -> lease(parent=0)"},
	{"A1", "answer", "cap(n1 cpu=4) -> t0(alice) -> r0(cpu=1) -> lease(parent=1)"},
	{"A1", "answer", "cap(n1 cpu=4) -> t0(alice) -> r0(cpu=1) -> reject(parent=1)"},
	{"A1", "answer", "ask(alice n1 cpu=1) -> ask(alice n1 cpu=1)"},
	{"A1", "answer", "ask(alice n1 cpu=1) -> close()"},
	{"A1", "kind", "cap(n1 cpu=4) -> lease()"},
	{"A2", "wrong-node", "ask(alice n1 cpu=1) -> lease(node=n2)"},
	{"A2", "wrong-node", "ask(alice n1 cpu=1) -> hold(node=n2)"},
	{"A2", "wrong-node", "ask(alice n1 cpu=1) -> reject(node=n2)"},
	{"A9", "signature", "ask(alice n1 cpu=1) -> lease(sig=alice)"},
	{"A9", "signature", "ask(alice n1 cpu=1) -> reject(sig=mallory)"},
	{"A3", "not-holder", "ask(alice n1 cpu=1) -> lease(holder=bob)"},
	{"A3", "not-holder", "ask(alice n1 cpu=1) -> hold(holder=bob)"},
	{"A4", "answer", "ask(alice n1 cpu=2) -> lease(cpu=1)"}, // less is no answer either
	{"A4", "answer", "ask(alice n1 cpu=1) -> lease(cpu=2)"},
	{"A4", "answer", "ask(alice n1 cpu=1) -> hold(cpu=1 memory=1)"},
	{"A4", "answer", "ask(alice n1 cpu=1 1h..2h) -> lease(1h..3h)"},
	{"A4", "answer", "ask(alice n1 cpu=1 1h..2h) -> hold(1h..1h30m)"},
	{"A5", "answer", "ask(alice n1 cpu=1 slice=web) -> lease(slice=db)"},
	{"A5", "answer", "ask(alice n1 cpu=1) -> lease(pool=sharp)"},
	{"A5", "answer", "cap(n1 cpu=4) -> t0(alice) -> r0(cpu=1) -> lease(pool=commons)"},
	{"A5", "ok", "ask(alice n1 cpu=1 owner=carol) -> lease()"},
	{"A5", "answer", "ask(alice n1 cpu=1 owner=carol) -> lease(owner=bob)"},
	{"A5", "answer", "ask(alice n1 cpu=1) -> lease(owner=bob)"},
	{"S13", "field", "ask(alice n1 cpu=1) -> lease(owner=alice)"},
	{"A8", "ok", "ask(alice n1 cpu=1 weight=3 exclusive=1) -> lease()"},
	{"A8", "answer", "ask(alice n1 cpu=1 weight=3) -> lease(weight=2)"},
	{"A8", "answer", "ask(alice n1 cpu=1) -> lease(weight=2)"},
	{"A8", "answer", "ask(alice n1 cpu=1) -> lease(exclusive=1)"},
	{"A8", "answer", "cap(n1 cpu=4) -> t0(alice) -> r0(cpu=1) -> lease(weight=1)"},
	{"S12", "field", "ask(alice n1 cpu=1) -> lease(weight=1001)"},
	{"S12", "field", "ask(alice n1 cpu=1) -> lease(exclusive=2)"},
	{"A6", "ok", "cap(n1 cpu=1) -> ask(alice n1 cpu=1 replaces=0) -> lease()"},
	{"A6", "answer", "cap(n1 cpu=1) -> ask(alice n1 cpu=1 replaces=0) -> lease(replaces=none)"},
	{"A6", "answer", "cap(n1 cpu=1) -> ask(alice n1 cpu=1) -> lease(replaces=0)"},
	{"A6", "answer", "cap(n1 cpu=1) -> ask(alice n1 cpu=1 replaces=0) -> lease(sliver=none)"},
	{"A6", "answer", "cap(n1 cpu=1) -> ask(alice n1 cpu=1) -> lease(sliver=0)"},
	{"A7", "ok", "ask(alice n1 ports.in=2 port=tcp/:80 port=udp/53:53) -> lease()"},
	{"A7", "ok", "ask(alice n1 ports.in=1 port=tcp/:80) -> lease(port=tcp/9000:80)"},
	{"A7", "answer", "ask(alice n1 ports.in=1 port=tcp/:80) -> lease(port=udp/9000:80)"},
	{"A7", "answer", "ask(alice n1 ports.in=1 port=tcp/:80) -> lease(port=tcp/9000:81)"},
	{"A7", "answer", "ask(alice n1 ports.in=1 port=tcp/80:80) -> lease(port=tcp/81:80)"},
	{"A7", "answer", "ask(alice n1 ports.in=2 port=tcp/80:80) -> lease(port=tcp/80:80 port=tcp/81:81)"},
	{"A7", "answer", "ask(alice n1 ports.in=1) -> lease(port=tcp/80:80)"},
	{"A5", "answer", "ask(bob n1 cpu=1 owner=alice) -> lease(owner=)"},
	{"A5", "answer", "cap(n1 cpu=4) -> t0(bob) -> r0(owner=alice) -> lease(owner=)"},
	{"A8", "ok", "ask(alice n1 cpu=1 exclusive=1) -> lease(mechanism=calendar)"},
	{"A8", "answer", "ask(alice n1 cpu=1 weight=3) -> lease(weight=0)"},
	{"A8", "answer", "ask(alice n1 cpu=1 exclusive=1) -> lease(exclusive=0)"},
	{"S10", "field", "ask(alice n1 ports.in=2) -> lease(port=tcp/80:80 port=tcp/80:81)"},
	{"A8", "ok", "ask(alice n1 cpu=1 fanout=20) -> lease()"},
	{"A8", "answer", "ask(alice n1 cpu=1 fanout=20) -> lease(fanout=19)"},
	{"A8", "answer", "ask(alice n1 cpu=1 fanout=20) -> lease(fanout=0)"},
	{"A8", "answer", "cap(n1 cpu=4) -> t0(bob fanout=20) -> r0() -> lease(fanout=21)"},
	{"A8", "answer", "ask(alice n1 cpu=1) -> lease(fanout=20)"},
}

func TestAnswers(t *testing.T) {
	for _, c := range answers {
		d := leasetest.Draw(t, c.drawing).Last()
		wish, err := d.Up.Signed.Open()
		if err != nil {
			t.Errorf("%s: the wish: %v", c.drawing, err)
			continue
		}
		got, err := lease.VerifyAnswer(wish, d.Signed.Bytes())
		if v := leasetest.Verdict(err); v != c.verdict {
			t.Errorf("%s: %s\n\tgot %s (%v), want %s", c.rule, c.drawing, v, err, c.verdict)
		}
		if err == nil && got.ID != d.ID {
			t.Errorf("%s: %s: not the answer that was drawn", c.rule, c.drawing)
		}
	}
}

// The claim is the last but one statement, its end the last.
var ends = []struct{ rule, verdict, drawing string }{
	{"E1", "ok", "ask(alice n1 cpu=1) -> lease() -> close()"},
	{"E1", "ok", "ask(alice n1 cpu=1) -> hold() -> close()"},
	{"E1", "ok", "ask(alice n1 cpu=1) -> lease() -> revoke()"},
	{"E1", "answer", "ask(alice n1 cpu=1) -> lease() -> close(parent=0)"},
	{"E1", "kind", "ask(alice n1 cpu=1) -> close()"},
	{"E1", "kind", "ask(alice n1 cpu=1) -> lease() -> hold()"},
	{"E2", "wrong-node", "ask(alice n1 cpu=1) -> lease() -> close(node=n2)"},
	{"E2", "wrong-node", "ask(alice n1 cpu=1) -> lease() -> revoke(node=n2)"},
	{"E3", "not-holder", "ask(alice n1 cpu=1) -> lease() -> close(by=mallory)"},
	{"E3", "not-holder", "ask(alice n1 cpu=1) -> lease() -> close(by=n1)"},
	{"E3", "ok", "ask(bob n1 cpu=1 owner=alice) -> lease() -> close(by=alice)"},
	{"E3", "not-holder", "ask(bob n1 cpu=1 owner=alice) -> hold() -> close(by=alice)"},
	{"E3", "not-holder", "ask(bob n1 cpu=1 owner=alice) -> lease() -> close(by=carol)"},
	{"E4", "signature", "ask(alice n1 cpu=1) -> lease() -> close(sig=n1)"},
	{"E4", "signature", "ask(alice n1 cpu=1) -> lease() -> revoke(sig=alice)"},
}

func TestEnds(t *testing.T) {
	for _, c := range ends {
		d := leasetest.Draw(t, c.drawing).Last()
		claim, err := d.Up.Signed.Open()
		if err != nil {
			t.Errorf("%s: the claim: %v", c.drawing, err)
			continue
		}
		_, err = lease.VerifyEnd(claim, d.Signed.Bytes())
		if v := leasetest.Verdict(err); v != c.verdict {
			t.Errorf("%s: %s\n\tgot %s (%v), want %s", c.rule, c.drawing, v, err, c.verdict)
		}
	}
}

// BenchmarkChain compares the verification of a chain of n statements with n
// bare Ed25519 verifications of messages as long, in the same run: the metric
// "ratio" is what is looked at.
func BenchmarkChain(b *testing.B) {
	for _, n := range []int{1, 3, 8, lease.MaxDepth} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			drawing := "cap(n1 cpu=4000 memory=1GiB egress.rate=5mbit egress.packets=2k)"
			if n > 2 {
				drawing += strings.Repeat(" -> t0(n1)", n-2) + " -> r0()"
			}
			benchmarkChain(b, leasetest.Draw(b, drawing).Last().Chain())
		})
	}
}
