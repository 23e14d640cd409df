// SPDX-License-Identifier: Apache-2.0

package lease_test

import (
	"bytes"
	"crypto/sha256"
	"strings"
	"testing"

	"croft/lease"
	"croft/lease/leasetest"
)

// Drawings that several proofs are made from.
const (
	// Two buyers of one slot, and one of another.
	pairs = "cap(n1 cpu=4) -> t0(alice) -> { t5(bob cpu=1 0h..2h), t5(carol cpu=1 1h..3h), t6(dave cpu=1), r7(cpu=1), r7(cpu=2 request=1), t5(eve cpu=1 2h..3h) }"
	// Children that only conflict three at a time.
	three = "cap(n1 cpu=5) -> { t0(a cpu=2 0h..3h), t1(b cpu=2 1h..4h), t2(c cpu=2 2h..5h), t3(d cpu=2 3h..5h), t4(e cpu=1 2h..5h), t1(f cpu=4 2h..4h) }"
	// A budget of one and a half.
	budget = "cap(n1 cpu=4000 @150) -> t0(agent @150) -> { t0(a cpu=2000 @100), t1(b cpu=2000 @100), t2(c cpu=2000 @100), t3(d cpu=2001 @100), t4(e cpu=1 @150) }"
	// Redeems beside tickets.
	mixed = "cap(n1 cpu=4 memory=4 @200) -> t0(alice cpu=2 @200) -> { t0(b cpu=1 @200), r1(cpu=2), r1(cpu=1 request=1), r2(cpu=1) }"
	// A node's capacities.
	caps = "cap(n1 cpu=4 0h..2h) -> cap(n1 cpu=3 1h..4h) -> cap(n1 cpu=4 2h..4h) -> cap(n1 cpu=4 0h..4h tranche=1) -> cap(n2 cpu=4 0h..4h)"
)

// Each line is a drawing, a proof put together from it as [leasetest.Tree.Proof]
// reads it, and its verdict; the rules are those of docs/protocol/claims.md.
var proofs = []struct{ rule, verdict, drawing, proof string }{
	// One slot, twice.
	{"P10", "ok", pairs, "twice:1:2,3"},
	{"P10", "ok", "cap(n1 cpu=4) -> { t0(a cpu=1), t0(a cpu=2) }", "twice:0:1,2"}, // to one and the same holder, too
	{"P10", "ok", "cap(n1 cpu=4) -> t0(alice) -> { t1(bob cpu=1), r1(cpu=1) }", "twice:1:2,3"},
	{"P10", "proof-slot", pairs, "twice:1:2,4"},
	{"P10", "proof-slot", pairs, "twice:1:5,6"},
	{"P6", "proof-duplicate", pairs, "twice:1:2,2"},
	{"P7", "proof-order", pairs, "twice!:1:2,3"},
	{"P8", "proof-disjoint", pairs, "twice:1:2,7"},
	{"P2", "proof-shape", pairs, "twice:1:2"},
	{"P2", "proof-shape", pairs, "twice:1:2,3,4"},
	{"P2", "proof-shape", pairs, "twice::2,3"},
	{"P2", "proof-shape", pairs, "twice:1:2,3:cpu@1h"},
	{"P3", "chain", pairs, "twice:5:2,3"},
	{"P3", "exceeds", "cap(n1 cpu=4) -> t0(alice cpu=5) -> { t5(bob cpu=1), t5(carol cpu=1) }", "twice:1:2,3"},
	{"P3", "signature", "cap(n1 cpu=4) -> t0(alice sig=mallory) -> { t5(bob cpu=1), t5(carol cpu=1) }", "twice:1:2,3"},
	{"P3", "wrong-node", "cap(n1 cpu=4) -> t0(alice node=n2) -> { t5(bob node=n1 cpu=1), t5(carol node=n1 cpu=1) }", "twice:1:2,3"},
	{"P4", "signature", "cap(n1 cpu=4) -> t0(alice) -> { t5(bob cpu=1), t5(carol cpu=1 sig=mallory) }", "twice:1:2,3"},
	{"P4", "field", "cap(n1 cpu=4) -> t0(alice) -> { t64(bob cpu=1), t64(carol cpu=1) }", "twice:1:2,3"},
	{"P5", "proof-parent", pairs, "twice:0:2,3"},
	{"P5", "proof-parent", "cap(n1 cpu=4) -> { t0(alice cpu=2) -> t5(bob cpu=1), t1(alice cpu=2) -> t5(carol cpu=1) }", "twice:1:2,4"},
	{"P5", "proof-parent", pairs, "twice:1:1,2"}, // the parent itself
	{"P5", "kind", pairs, "twice:1:0,2"},
	{"P5", "not-holder", "cap(n1 cpu=4) -> t0(alice) -> { t5(bob cpu=1), t5(carol cpu=1 by=mallory) }", "twice:1:2,3"},
	{"P5", "wrong-node", "cap(n1 cpu=4) -> t0(alice) -> { t5(bob cpu=1), t5(carol cpu=1 node=n2) }", "twice:1:2,3"},
	{"P5", "exceeds", "cap(n1 cpu=4) -> t0(alice cpu=2) -> { t5(bob cpu=1), t5(carol cpu=3) }", "twice:1:2,3"},
	{"P5", "exceeds", "cap(n1 cpu=4) -> t0(alice 0h..2h) -> { t5(bob cpu=1), t5(carol 0h..3h) }", "twice:1:2,3"},
	{"P5", "exceeds", "cap(n1 cpu=4 @150) -> t0(alice @120) -> { t5(bob cpu=1), t5(carol cpu=1 @121) }", "twice:1:2,3"},
	{"P5", "kind", "cap(n1 cpu=4) -> t0(alice) -> { t5(bob cpu=1), ask(alice n1) }", "twice:1:2,3"},
	{"P5", "chain", "cap(n1 cpu=4) -> { t0(alice), r0(by=n1) }", "twice:0:1,2"},

	// Slots that weigh too much.
	{"P12", "ok", three, "over:0:1,2,3:cpu@2h"},
	{"P12", "ok", budget, "over:1:2,3,5:cpu@0h"},
	{"P12", "ok", mixed, "over:1:2,3,5:cpu@0h"}, // 1 × 200 + 2 × 100 + 1 × 100 > 2 × 200: a redeem weighs 100
	{"P12", "proof-below", mixed, "over:1:2,4,5:cpu@0h"},
	{"P12", "proof-below", budget, "over:1:2,3,4:cpu@0h"}, // the budget to the last unit
	{"P12", "ok", budget, "over:1:2,3,4,6:cpu@0h"},        // and one beyond
	{"P12", "proof-below", three, "over:0:1,2:cpu@1h"},
	{"P12", "proof-below", three, "over:0:1,2,5:cpu@2h"},
	{"P12", "proof-below", "cap(n1 cpu=4 memory=4) -> { t0(a cpu=4), t1(b memory=4) }", "over:0:1,2:memory@0h"},
	{"P12", "ok", "cap(n1 cpu=4 memory=4) -> { t0(a cpu=1 memory=3), t1(b memory=2) }", "over:0:1,2:memory@0h"},
	{"P13", "proof-redundant", three, "over:0:1,2,3,5:cpu@2h"},
	{"P13", "proof-redundant", "cap(n1 cpu=4) -> { t0(a cpu=3), t1(b cpu=3), t2(c cpu=3) }", "over:0:1,2,3:cpu@0h"},
	{"P13", "proof-redundant", "cap(n1 cpu=4 memory=4) -> { t0(a cpu=3), t1(b cpu=3), t2(c memory=3) }", "over:0:1,2,3:cpu@0h"},
	{"P6", "proof-duplicate", three, "over:0:1,2,2,3:cpu@2h"},
	{"P7", "proof-order", three, "over:0:2,1,3:cpu@2h"},
	{"P7", "proof-order", three, "over:0:1,2,3,1:cpu@2h"}, // a second time, elsewhere
	{"P8", "proof-disjoint", three, "over:0:1,2,4:cpu@3h"},
	{"P9", "proof-instant", three, "over:0:1,2,3:cpu@2h30m"},
	{"P9", "proof-instant", three, "over:0:1,2,3:cpu@1h"},
	{"P9", "proof-instant", three, "over:0:1,2,3:cpu@9h"},
	{"P11", "proof-slot", three, "over:0:2,6:cpu@2h"},
	{"P5", "proof-parent", "cap(n1 cpu=4) -> { t0(a cpu=2) -> t1(b cpu=2), t2(c cpu=2) -> t3(d cpu=2) }", "over:1:2,4:cpu@0h"},
	{"P2", "proof-shape", three, "over:0:1:cpu@0h"},
	{"P2", "proof-shape", three, "over::1,2:cpu@0h"},

	// Capacities.
	{"P14", "ok", caps, "capacity::0,1"},
	{"P14", "proof-tranche", caps, "capacity::0,3"},
	{"P14", "proof-tranche", caps, "capacity::0,4"},
	{"P6", "proof-duplicate", caps, "capacity::0,0"},
	{"P7", "proof-order", caps, "capacity!::0,1"},
	{"P8", "proof-disjoint", caps, "capacity::0,2"},
	{"P2", "proof-shape", caps, "capacity:0:0,1"},
	{"P4", "signature", "cap(n1 cpu=4) -> cap(n1 cpu=3 sig=n2)", "capacity::0,1"},
	{"P5", "kind", "cap(n1 cpu=4) -> t0(alice)", "capacity::0,1"},

	// Refusals of a node's own.
	{"P16", "ok", "cap(n1 cpu=4) -> t0(alice) -> r0() -> reject(local:capacity)", "refused:2:3"},
	{"P16", "ok", "cap(n1 cpu=4) -> t0(alice) -> t0(bob) -> r0() -> reject(local:policy)", "refused:3:4"},
	{"P16", "ok", "cap(n1 cpu=4) -> t0(alice) -> r0() -> reject(local)", "refused:2:3"},
	{"P16", "proof-exempt", "cap(n1 cpu=4 @101) -> t0(alice @100) -> r0() -> reject(local:capacity)", "refused:2:3"},
	{"P16", "proof-exempt", "cap(n1 cpu=4) -> t0(alice) -> r0() -> reject(exhausted)", "refused:2:3"},
	{"P17", "proof-exempt", "cap(n1 cpu=4) -> t0(alice) -> r0() -> reject(local:clock)", "refused:2:3"},
	{"P17", "proof-exempt", "cap(n1 cpu=4) -> t0(alice) -> r0() -> reject(local:slot)", "refused:2:3"},
	{"P17", "proof-exempt", "cap(n1 cpu=4) -> t0(alice) -> r0() -> reject(local:bound)", "refused:2:3"},
	{"P17", "proof-exempt", "cap(n1 cpu=4) -> t0(alice) -> r0() -> reject(local:request)", "refused:2:3"},
	{"P17", "ok", "cap(n1 cpu=4 ports.in=2) -> t0(alice) -> r0(cpu=4 ports.in=1 port=tcp/:80) -> reject(local:port)", "refused:2:3"},
	{"P17", "proof-exempt", "cap(n1 cpu=4 ports.in=2) -> t0(alice) -> r0(cpu=4 ports.in=1 port=tcp/80:80) -> reject(local:port)", "refused:2:3"},
	{"P17", "ok", "cap(n1 cpu=4) -> t0(alice) -> r0() -> reject(local:closing)", "refused:2:3"},
	{"P17", "ok", "cap(n1 cpu=4) -> t0(alice) -> r0() -> reject(local:state)", "refused:2:3"},
	{"P17", "ok", "cap(n1 cpu=4) -> t0(alice) -> r0() -> reject(local:unknown)", "refused:2:3"},
	{"P17", "proof-exempt", "cap(n1 cpu=4) -> t0(alice) -> r0(replaces=0) -> reject(local:closing)", "refused:2:3"},
	{"P17", "proof-exempt", "cap(n1 cpu=4) -> t0(alice) -> r0(replaces=0) -> reject(local:state)", "refused:2:3"},
	{"P17", "proof-exempt", "cap(n1 cpu=4) -> t0(alice) -> r0(replaces=0) -> reject(local:unknown)", "refused:2:3"},
	{"P15", "answer", "cap(n1 cpu=4) -> t0(alice) -> r0() -> reject(local:capacity parent=1)", "refused:2:3"},
	{"P15", "wrong-node", "cap(n1 cpu=4) -> t0(alice) -> r0() -> reject(local:capacity node=n2)", "refused:2:3"},
	{"P4", "signature", "cap(n1 cpu=4) -> t0(alice) -> r0() -> reject(local:capacity sig=alice)", "refused:2:3"},
	{"P5", "kind", "cap(n1 cpu=4) -> t0(alice) -> r0() -> lease()", "refused:2:3"},
	{"P3", "chain", "cap(n1 cpu=4) -> t0(alice) -> t0(bob) -> reject(local:capacity)", "refused:2:3"},
	{"P2", "proof-shape", "cap(n1 cpu=4) -> ask(alice n1) -> reject(local:capacity)", "refused:1:2"},
	{"P2", "proof-shape", "cap(n1 cpu=4) -> t0(alice) -> r0() -> reject(local:policy attached=x)", "refused:2:3"},

	// Quarantine, with its conflict and without.
	{"P18", "ok", "cap(n1 cpu=4) -> t0(alice) -> r0() -> reject(local:quarantine)", "refused:2:3"},
	{"P19", "ok", "cap(n1 cpu=4) -> t0(alice) -> r0() -> reject(local:quarantine attached=hearsay)", "refused:2:3"},
	{"P18", "proof-attachment", "cap(n1 cpu=4) -> t0(alice) -> r0() -> reject(local:quarantine attached=hearsay)", "refused:2:3!"},
	{"P19", "proof-borne-out", "cap(n1 cpu=4) -> t0(alice) -> { t1(bob cpu=1), t1(carol cpu=1), r0() -> reject(local:quarantine proves=twice:1:2,3) }", "refused:4:5"},
	{"P19", "proof-borne-out", "cap(n1 cpu=4) -> t0(alice) -> { t1(bob cpu=1 0h..1h), t1(carol cpu=1 0h..1h), r0() -> reject(local:quarantine at=720h59m59s proves=twice:1:2,3) }", "refused:4:5"},
	{"P19", "ok", "cap(n1 cpu=4) -> t0(alice) -> { t1(bob cpu=1 0h..1h), t1(carol cpu=1 0h..1h), r0() -> reject(local:quarantine at=721h proves=twice:1:2,3) }", "refused:4:5"}, // long ago
	{"P19", "ok", "cap(n1 cpu=4) -> t0(alice) -> { t1(bob cpu=1), t1(carol cpu=1), t0(dave) -> r0() -> reject(local:quarantine proves=twice:1:2,3) }", "refused:5:6"},           // a third party's redeem goes on
	{"P19", "ok", "cap(n1 cpu=4) -> t0(alice) -> { t1(bob cpu=1), t1(carol cpu=1 sig=bob), r0() -> reject(local:quarantine proves=twice:1:2,3) }", "refused:4:5"},               // proves nothing
	{"P19", "ok", "cap(n1 cpu=4) -> t0(n1) -> { r1() -> reject(local:policy), r0() -> reject(local:quarantine proves=refused:2:3) }", "refused:4:5"},                            // no over-issue

	// Refusals that what is attached should bear out.
	{"P19", "ok", "cap(n1 cpu=4) -> t0(alice) -> r0() -> reject(exhausted)", "unfilled:2:3"},
	{"P19", "ok", "cap(n1 cpu=4 @200) -> t0(alice) -> r0() -> reject(oversubscribed about=0 lacks=cpu instant=0h attached=junk)", "unfilled:2:3"},
	{"P19", "ok", "cap(n1 cpu=4) -> t0(alice) -> r0() -> reject(over-issued about=1)", "unfilled:2:3"},
	{"P18", "proof-attachment", "cap(n1 cpu=4) -> t0(alice) -> r0() -> { reject(exhausted attached=x), reject(exhausted attached=y) }", "unfilled:2:3!,4!"},
	{"P16", "proof-exempt", "cap(n1 cpu=4) -> t0(alice) -> r0() -> reject(local:capacity)", "unfilled:2:3"},
	{"P2", "proof-shape", "cap(n1 cpu=4) -> t0(alice) -> r0() -> reject(exhausted)", "unfilled:2:3!"},
	{"P19", "proof-borne-out", filled + "reject(exhausted about=1 lacks=cpu instant=1h fills=3) }", "unfilled:4:5"},
	{"P19", "ok", filled + "reject(exhausted about=1 lacks=cpu instant=1h fills=none) }", "unfilled:4:5"},

	// What the node itself had ended.
	{"P20", "ok", revoked + "r1(cpu=2) -> reject(exhausted at=10m about=1 lacks=cpu instant=1h fills=3) }", "unfilled:5:6,4"},
	{"P20", "proof-refutation", revoked + "r1(cpu=2) -> reject(exhausted at=5m about=1 lacks=cpu instant=1h fills=3) }", "unfilled:5:6,4"},
	{"P20", "proof-refutation", revoked + "r1(cpu=2) -> reject(exhausted at=10m about=1 lacks=cpu instant=4m fills=3) }", "unfilled:5:6,4"},
	{"P20", "proof-refutation", revoked + "r1(cpu=2) -> reject(exhausted at=10m about=1 lacks=cpu instant=1h attached=junk) }", "unfilled:5:6,4"},
	{"P20", "proof-refutation", revoked + "r1(cpu=2) -> reject(over-issued at=10m about=1 attached=junk) }", "unfilled:5:6,4"},
	{"P20", "proof-refutation", "cap(n1 cpu=4) -> t0(alice) -> { r0(cpu=3) -> lease(), r2(cpu=1) -> lease() -> revoke(at=5m said=1m), r1(cpu=2) -> reject(exhausted at=10m about=1 lacks=cpu instant=1h fills=3) }", "unfilled:7:8,6"},
	{"P20", "proof-borne-out", "cap(n1 cpu=4) -> t0(alice) -> { r0(cpu=1) -> lease() -> revoke(at=5m said=1m), r2(cpu=3) -> lease(), r1(cpu=2) -> reject(exhausted at=10m about=1 lacks=cpu instant=1h fills=3,6) }", "unfilled:7:8,4"},
	{"P13", "proof-redundant", "cap(n1 cpu=4) -> t0(alice) -> { r0(cpu=1) -> lease() -> revoke(at=5m said=1m), r2(cpu=3) -> lease() -> revoke(at=5m said=1m), r1(cpu=2) -> reject(exhausted at=10m about=1 lacks=cpu instant=1h fills=3,6) }", "unfilled:8:9,4,7"},
	{"P6", "proof-duplicate", revoked + "r1(cpu=2) -> reject(exhausted at=10m about=1 lacks=cpu instant=1h fills=3) }", "unfilled:5:6,4,4"},
	{"P5", "kind", "cap(n1 cpu=4) -> t0(alice) -> { r0(cpu=3) -> lease() -> close(at=5m), r1(cpu=2) -> reject(exhausted at=10m about=1 lacks=cpu instant=1h fills=3) }", "unfilled:5:6,4"}, // who closes can date it back
	{"P4", "signature", "cap(n1 cpu=4) -> t0(alice) -> { r0(cpu=3) -> lease() -> revoke(at=5m sig=alice), r1(cpu=2) -> reject(exhausted at=10m about=1 lacks=cpu instant=1h fills=3) }", "unfilled:5:6,4"},

	// Grace.
	{"P21", "ok", "ask(alice n1 cpu=1) -> lease(grace=60s) -> revoke(said=1h at=1h59s)", "grace::1,2"},
	{"P21", "proof-grace", "ask(alice n1 cpu=1) -> lease(grace=60s) -> revoke(said=1h at=1h1m)", "grace::1,2"},
	{"P21", "ok", "ask(alice n1 cpu=1) -> lease(grace=60s) -> revoke(said=1h at=59m)", "grace::1,2"},
	{"P21", "proof-grace", "ask(alice n1 cpu=1) -> lease() -> revoke(said=1h at=1h)", "grace::1,2"},
	{"P21", "proof-grace", "ask(alice n1 cpu=1 0h..1h) -> lease(grace=60s) -> revoke(said=1h at=1h)", "grace::1,2"}, // takes nothing away
	{"P21", "answer", "ask(alice n1 cpu=1) -> { lease(grace=60s), lease(grace=50s) -> revoke(said=1h at=1h) }", "grace::1,3"},
	{"P21", "wrong-node", "ask(alice n1 cpu=1) -> lease(grace=60s) -> revoke(said=1h at=1h node=n2)", "grace::1,2"},
	{"P4", "signature", "ask(alice n1 cpu=1) -> lease(grace=60s) -> revoke(said=1h at=1h sig=alice)", "grace::1,2"},
	{"P4", "signature", "ask(alice n1 cpu=1) -> lease(grace=60s sig=alice) -> revoke(said=1h at=1h)", "grace::1,2"},
	{"P5", "kind", "ask(alice n1 cpu=1) -> lease(grace=60s) -> close()", "grace::1,2"},
	{"P5", "kind", "ask(alice n1 cpu=1) -> hold() -> revoke(said=1h at=1h)", "grace::1,2"},
	{"P2", "proof-shape", "ask(alice n1 cpu=1) -> lease(grace=60s) -> revoke(said=1h at=1h)", "grace::1,2,2"},
}

const (
	filled  = "cap(n1 cpu=4) -> t0(alice) -> { r0(cpu=3) -> lease(), r1(cpu=2) -> "
	revoked = "cap(n1 cpu=4) -> t0(alice) -> { r0(cpu=3) -> lease() -> revoke(at=5m said=1m), "
)

func TestProofs(t *testing.T) {
	for _, c := range proofs {
		p, err := leasetest.Draw(t, c.drawing).Proof(c.proof)
		if err != nil {
			t.Fatalf("%s of %s: %v", c.proof, c.drawing, err)
		}
		var again lease.Proof
		var v lease.Verdict
		again, v, err = lease.VerifyProof(p.Bytes())
		if got := leasetest.Verdict(err); got != c.verdict {
			t.Errorf("%s: %s of %s\n\tgot %s (%v), want %s", c.rule, c.proof, c.drawing, got, err, c.verdict)
		}
		if err != nil && v != (lease.Verdict{}) {
			t.Errorf("%s: %s of %s: a verdict comes with the error", c.rule, c.proof, c.drawing)
		}
		if err == nil && (!bytes.Equal(again.Bytes(), p.Bytes()) || v.Kind != p.K || v.Principal.IsZero() || v.Term.Seconds() == 0) {
			t.Errorf("%s: %s of %s: verdict %+v", c.rule, c.proof, c.drawing, v)
		}
		direct, err2 := p.Verify()
		if leasetest.Verdict(err2) != c.verdict || direct != v {
			t.Errorf("%s: %s of %s: %v without travelling", c.rule, c.proof, c.drawing, err2)
		}
	}
}

// Each line is a refusal, the statement drawn last, and whether what it attaches
// bears it out.
var fillings = []struct{ rule, verdict, drawing string }{
	{"F7", "ok", filled + "reject(exhausted about=1 lacks=cpu instant=1h fills=3) }"},
	{"F7", "ok", "cap(n1 cpu=4) -> t0(alice) -> { r0(cpu=3) -> hold(commit=30s), r1(cpu=2) -> reject(exhausted at=29s about=1 lacks=cpu instant=1h fills=3) }"},
	{"F7", "ok", "cap(n1 cpu=4 @200) -> { t0(bob cpu=3) -> t9(eve) -> r0() -> lease(), t1(alice cpu=2) -> r0() -> reject(oversubscribed about=0 lacks=cpu instant=1h fills=4) }"},
	{"F7", "ok", "cap(n1 cpu=4 @200) -> t0(agent) -> { t0(bob cpu=3) -> r0() -> lease(), r0(cpu=1) -> lease(), t1(alice cpu=2) -> r0() -> reject(oversubscribed about=1 lacks=cpu instant=1h fills=4,6) }"},
	{"F7", "filling-below", filled + "reject(exhausted about=1 lacks=cpu instant=1h fills=none) }"},
	{"F7", "filling-below", "cap(n1 cpu=4) -> t0(alice) -> { r0(cpu=2) -> lease(), r1(cpu=2) -> reject(exhausted about=1 lacks=cpu instant=1h fills=3) }"},
	{"F1", "syntax", filled + "reject(exhausted about=1 lacks=cpu instant=1h attached=junk) }"},
	{"F1", "syntax", filled + "reject(exhausted about=1 lacks=cpu instant=1h fills=2) }"}, // a redeem that nobody granted
	{"F2", "filling-claim", filled + "reject(exhausted about=0 lacks=cpu instant=1h fills=3) }"},
	{"F2", "filling-claim", filled + "reject(exhausted about=1 lacks=cpu instant=1h fills=3 about=2) }"},
	{"F2", "filling-claim", filled + "reject(exhausted about=1 lacks=cpu instant=1h fills=3 about=4) }"},
	{"F2", "filling-claim", filled + "reject(oversubscribed about=1 lacks=cpu instant=1h fills=3) }"},
	{"F2", "filling-claim", filled + "reject(oversubscribed about=0 lacks=cpu instant=1h fills=3) }"}, // of degree 100
	{"F2", "filling-claim", filled + "reject(exhausted about=1 lacks=cpu instant=1h fills=3 about=none) }"},
	{"F3", "filling-instant", filled + "reject(exhausted about=1 instant=1h fills=3) }"},
	{"F3", "filling-instant", filled + "reject(exhausted about=1 lacks=memory instant=1h fills=3) }"},
	{"F3", "filling-instant", filled + "reject(exhausted about=1 lacks=cpu instant=24h fills=3) }"},
	{"F3", "filling-instant", filled + "reject(exhausted about=1 lacks=cpu fills=3) }"},
	{"F4", "signature", "cap(n1 cpu=4) -> t0(alice) -> { r0(cpu=3) -> lease(sig=alice), r1(cpu=2) -> reject(exhausted about=1 lacks=cpu instant=1h fills=3) }"},
	{"F4", "signature", "cap(n1 cpu=4) -> t0(alice) -> { r0(cpu=3 sig=n1) -> lease(), r1(cpu=2) -> reject(exhausted about=1 lacks=cpu instant=1h fills=3) }"},
	{"F4", "not-holder", "cap(n1 cpu=4) -> t0(alice) -> { r0(cpu=3 by=n1) -> lease(), r1(cpu=2) -> reject(exhausted about=1 lacks=cpu instant=1h fills=3) }"},
	{"F4", "answer", "cap(n1 cpu=4) -> t0(alice) -> { r0(cpu=1) -> lease(cpu=3), r1(cpu=2) -> reject(exhausted about=1 lacks=cpu instant=1h fills=3) }"},
	{"F4", "wrong-node", "cap(n1 cpu=4) -> t0(alice) -> { r0(cpu=3) -> lease(node=n2), r1(cpu=2) -> reject(exhausted about=1 lacks=cpu instant=1h fills=3) }"},
	{"F4", "kind", "cap(n1 cpu=4) -> t0(alice) -> { r0(cpu=3) -> reject(), r1(cpu=2) -> reject(exhausted about=1 lacks=cpu instant=1h fills=3) }"},
	{"F4", "kind", "cap(n1 cpu=4 @200) -> { t0(bob cpu=3) -> t9(eve) -> lease(), t1(alice cpu=2) -> r0() -> reject(oversubscribed about=0 lacks=cpu instant=1h fills=3) }"},
	{"F5", "filling-twice", "cap(n1 cpu=4) -> t0(alice) -> { r0(cpu=2) -> lease(), r1(cpu=2) -> reject(exhausted about=1 lacks=cpu instant=1h fills=3,3) }"},
	{"F5", "filling-twice", "cap(n1 cpu=4) -> t0(alice) -> { r0(cpu=1) -> lease(), r0(cpu=2 replaces=3) -> hold(), r1(cpu=2) -> reject(exhausted about=1 lacks=cpu instant=1h fills=3,5) }"},
	{"F5", "filling-twice", "cap(n1 cpu=4) -> t0(alice) -> { r1(cpu=3) -> lease(), r1(cpu=2) -> reject(exhausted about=1 lacks=cpu instant=1h fills=3) }"},
	{"F6", "filling-instant", "cap(n1 cpu=4) -> t0(alice) -> { r0(cpu=3 0h..1h) -> lease(), r1(cpu=2) -> reject(exhausted about=1 lacks=cpu instant=1h fills=3) }"},
	{"F6", "filling-hold", "cap(n1 cpu=4) -> t0(alice) -> { r0(cpu=3) -> hold(commit=30s), r1(cpu=2) -> reject(exhausted at=30s about=1 lacks=cpu instant=1h fills=3) }"},

	{"F8", "ok", "cap(n1 cpu=4) -> t0(agent) -> { t0(bob cpu=3), t0(alice cpu=2) -> r0() -> reject(over-issued about=1 proves=twice:1:2,3) }"},
	{"F8", "ok", "cap(n1 cpu=4) -> { t0(agent cpu=3), t1(agent cpu=2) -> t0(alice) -> r0() -> reject(over-issued about=0 proves=over:0:1,2:cpu@0h) }"},
	{"F8", "ok", "cap(n1 cpu=4) -> cap(n1 cpu=3) -> t0(alice) -> r0() -> reject(over-issued proves=capacity::0,1)"},
	{"F8", "off-path", "cap(n1 cpu=4) -> cap(n1 cpu=3) -> cap(n1 cpu=3 tranche=1) -> t0(alice) -> r0() -> reject(over-issued proves=capacity::0,1)"},
	{"F8", "off-path", "cap(n1 cpu=4) -> { t0(eve) -> { t0(bob cpu=3), t0(dave cpu=2) }, t1(alice cpu=2) -> r0() -> reject(over-issued about=1 proves=twice:1:2,3) }"},
	{"F8", "off-path", "cap(n1 cpu=4) -> t0(agent) -> { t0(bob cpu=3 0h..1h), t0(eve cpu=2 0h..1h), t1(alice cpu=2 1h..2h) -> r0() -> reject(over-issued about=1 proves=twice:1:2,3) }"},
	{"F8", "off-path", "cap(n1 cpu=4) -> t0(alice) -> { r0() -> reject(local:policy), r1() -> reject(over-issued proves=refused:2:3) }"},
	{"F8", "signature", "cap(n1 cpu=4) -> t0(agent) -> { t0(bob cpu=3 sig=bob), t0(alice cpu=2) -> r0() -> reject(over-issued about=1 proves=twice:1:2,3) }"},
	{"F8", "syntax", "cap(n1 cpu=4) -> t0(agent) -> t0(alice cpu=2) -> r0() -> reject(over-issued about=1)"},
	{"F2", "kind", "cap(n1 cpu=4) -> t0(agent) -> t0(alice cpu=2) -> r0() -> reject(local:policy)"},
}

func TestFillings(t *testing.T) {
	for _, c := range fillings {
		d := leasetest.Draw(t, c.drawing).Last()
		asker, err := lease.VerifyChain(d.Up.Chain()[rootOf(d.Up):], leasetest.Who("n1"))
		if err != nil {
			t.Errorf("%s: the asker: %v", c.drawing, err)
			continue
		}
		err = lease.VerifyAttachment(asker, d.Statement.(*lease.Reject), d.Attachment)
		if got := leasetest.Verdict(err); got != c.verdict {
			t.Errorf("%s: %s\n\tgot %s (%v), want %s", c.rule, c.drawing, got, err, c.verdict)
		}
		if f, err := lease.ParseFilling(d.Attachment); err == nil && !bytes.Equal(f.Bytes(), d.Attachment) {
			t.Errorf("%s: does not travel", c.drawing)
		}
		// What bears a refusal out proves nothing against the node, what does not
		// is a proof.
		p := lease.Proof{K: lease.ProofUnfilled, Chain: asker.Bytes(), Evidence: [][]byte{d.Signed.Bytes(), d.Attachment}}
		_, err = p.Verify()
		if (leasetest.Verdict(err) == "proof-borne-out") != (c.verdict == "ok") && !strings.Contains(c.drawing, "reject(local") {
			t.Errorf("%s: as a proof: %v", c.drawing, err)
		}
	}
}

// rootOf is where the chain begins: drawings of capacities have several in a row.
func rootOf(d *leasetest.Drawn) (at int) {
	n := 0
	for o := d; o != nil; o = o.Up {
		n++
	}
	for o, i := d, n-1; o != nil; o, i = o.Up, i-1 {
		if o.Kind() == lease.KindCapacity {
			return i
		}
	}
	return 0
}

// Forged attachments: other bytes than those that the node named.
func TestAttachmentIsNamed(t *testing.T) {
	d := leasetest.Draw(t, filled+"reject(exhausted about=1 lacks=cpu instant=1h fills=3) }").Last()
	asker, err := lease.VerifyChain(d.Up.Chain(), leasetest.Who("n1"))
	if err != nil {
		t.Fatal(err)
	}
	reject := d.Statement.(*lease.Reject)
	if reject.Attached != sha256.Sum256(d.Attachment) {
		t.Fatal("the drawing names something else")
	}
	for _, forged := range [][]byte{nil, {0x80}, append(bytes.Clone(d.Attachment), 0)} {
		if err := lease.VerifyAttachment(asker, reject, forged); leasetest.Verdict(err) != "proof-attachment" {
			t.Errorf("%x: %v", forged, err)
		}
	}
}

// proofBytes are encodings that no drawing makes. Each is nearly the sound proof
// that comes first.
func proofBytes(t testing.TB) []struct {
	note, verdict string
	bytes         []byte
} {
	p, err := leasetest.Draw(t, "cap(n1 cpu=4) -> { t0(a cpu=1), t0(b cpu=1) }").Proof("twice:0:1,2")
	if err != nil {
		t.Fatal(err)
	}
	sound := p.Bytes()
	edit := func(change func(*lease.Proof)) []byte {
		q := p
		change(&q)
		return q.Bytes()
	}
	many := make([][]byte, 67)
	return []struct {
		note, verdict string
		bytes         []byte
	}{
		{"the proof that the others are made from", "ok", sound},
		{"no bytes", "syntax", nil},
		{"not CBOR", "syntax", []byte("guilty!")},
		{"the last byte is missing", "syntax", sound[:len(sound)-1]},
		{"a byte after the array", "syntax", append(bytes.Clone(sound), 0)},
		{"an array of six", "syntax", append(append([]byte{0x86}, sound[1:]...), 0)},
		{"an array of four", "syntax", append([]byte{0x84}, sound[1:len(sound)-1]...)},
		{"an array of indefinite length", "syntax", append(append([]byte{0x9f}, sound[1:]...), 0xff)},
		{"the kind in two bytes", "not-canonical", append([]byte{0x85, 0x18, 0x01}, sound[2:]...)},
		{"the instant in two bytes", "not-canonical", append(bytes.Clone(sound[:len(sound)-1]), 0x18, 0)},
		{"a negative instant", "syntax", append(bytes.Clone(sound[:len(sound)-1]), 0x20)},
		{"null for no chain", "syntax", []byte{0x85, 0x03, 0xf6, 0x80, 0, 0}},
		{"kind 0", "kind", edit(func(p *lease.Proof) { p.K = 0 })},
		{"kind 7", "kind", edit(func(p *lease.Proof) { p.K = 7 })},
		{"kind 257", "kind", append([]byte{0x85, 0x19, 0x01, 0x01}, sound[2:]...)},
		{"resource 14", "unknown-resource", edit(func(p *lease.Proof) { p.Resource = 14 })},
		{"the year 10000", "field", edit(func(p *lease.Proof) { p.K, p.At = lease.ProofOver, 253402300800 })},
		{"P2: a chain of 18", "too-big", edit(func(p *lease.Proof) { p.Chain = many[:18] })},
		{"P2: evidence of 67", "too-big", edit(func(p *lease.Proof) { p.Evidence = many })},
		{"P2: 65 children", "proof-shape", edit(func(p *lease.Proof) { p.K, p.Evidence = lease.ProofOver, many[:65] })},
		{"P2: a chain of 17 above two children", "proof-shape", edit(func(p *lease.Proof) { p.Chain = many[:17] })},
		{"P4: a statement of 1025 bytes", "too-big", edit(func(p *lease.Proof) { p.Evidence = [][]byte{make([]byte, 1025), nil} })},
		{"a length of 2^63", "syntax", append([]byte{0x85, 0x01, 0x81, 0x5b, 0x80}, make([]byte, 100)...)},
		{"P1 P2: a count of 2^63", "too-big", append([]byte{0x85, 0x01, 0x9b, 0x80}, make([]byte, 100)...)},
		{"more than a proof may have", "too-big", make([]byte, lease.MaxProof+1)[:lease.MaxProof+1]},
	}
}

func TestProofBytes(t *testing.T) {
	for _, c := range proofBytes(t) {
		_, _, err := lease.VerifyProof(c.bytes)
		if got := leasetest.Verdict(err); got != c.verdict {
			t.Errorf("%s: got %s (%v), want %s", c.note, got, err, c.verdict)
		}
	}
}
