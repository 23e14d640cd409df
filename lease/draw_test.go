// SPDX-License-Identifier: Apache-2.0

package lease_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"croft/lease"
	"croft/lease/leasetest"
)

// What people read is in testdata/drawn.txt: each case, and below what is
// printed, with the principals' names in the place of their keys.
func TestDrawn(t *testing.T) {
	var b strings.Builder
	for _, c := range []struct{ proof, drawing string }{
		{"over:1:2,3,4:cpu@0h", "cap(n1 cpu=4000 @150) -> t0(agent) -> { t0(alice cpu=2000 @100), t1(bob cpu=2000 @100), t2(carol cpu=2001 @100) }"},
		{"over:1:2,3:cpu@1h", "cap(n1 cpu=5 @101) -> t0(agent) -> { t0(alice cpu=3 @101), r1(cpu=3 1h..2h) }"},
		{"twice:1:2,3", "cap(n1 cpu=4) -> t0(agent) -> { t5(bob cpu=1 0h..2h), t5(carol cpu=1 1h..3h) }"},
		{"capacity::0,1", "cap(n1 cpu=4 0h..2h) -> cap(n1 cpu=3 1h..4h)"},
		{"refused:2:3", "cap(n1 cpu=4) -> t0(alice) -> r0() -> reject(local:capacity)"},
		{"unfilled:2:3", "cap(n1 cpu=4) -> t0(alice) -> r0() -> reject(exhausted attached=junk)"},
		{"unfilled:5:6,4", revoked + "r1(cpu=2) -> reject(exhausted at=10m about=1 lacks=cpu instant=1h fills=3) }"},
		{"grace::1,2", "ask(alice n1 cpu=1) -> lease(grace=60s) -> revoke(said=1h at=1h10s)"},
	} {
		p, err := leasetest.Draw(t, c.drawing).Proof(c.proof)
		if err != nil {
			t.Fatal(err)
		}
		v, err := p.Verify()
		if err != nil {
			t.Fatalf("%s of %s: %v", c.proof, c.drawing, err)
		}
		fmt.Fprintf(&b, "# %s of %s\n%s\n", c.proof, c.drawing, lease.DrawProof(p, v))
	}
	got := b.String()
	for _, name := range []string{"n1", "agent", "alice", "bob", "carol"} {
		short := leasetest.Who(name).Short()
		got = strings.ReplaceAll(got, short, name+strings.Repeat("·", len(short)-len(name)))
	}
	const file = "testdata/drawn.txt"
	if *rewrite {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is not what is printed; look at it, and run with -rewrite:\n%s", file, got)
	}
}
