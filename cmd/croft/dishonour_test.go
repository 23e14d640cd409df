// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"croft/lease"
	"croft/lease/leasetest"
	"croft/node/api"
)

// refusal is a node's signed answer to the redeem of a drawing.
func refusal(t *testing.T, drawing string, change func(*lease.Reject)) ([][]byte, api.Answer) {
	t.Helper()
	redeem := leasetest.Draw(t, drawing).Last()
	st := &lease.Reject{K: lease.KindReject, Node: leasetest.Who("n1"), Parent: redeem.ID, At: leasetest.Epoch, Sort: lease.Local, Reason: lease.ReasonPolicy}
	var attached []byte
	if change != nil {
		change(st)
	}
	signed, err := lease.Seal(st, leasetest.Key("n1"))
	if err != nil {
		t.Fatal(err)
	}
	return redeem.Chain(), api.Answer{Statements: [][]byte{signed.Bytes()},
		Refusal: &api.Refusal{Sort: st.Sort.String(), Reason: st.Reason.String(), Attachment: attached}}
}

func TestARefusalThatNoHonestNodeGivesIsKeptAsProof(t *testing.T) {
	const promised = "cap(n1 cpu=4) -> t0(alice cpu=2) -> r0(cpu=1)"
	for name, c := range map[string]struct {
		drawing string
		change  func(*lease.Reject)
		kind    string // of the proof; none if empty
	}{
		"policy under degree 100":       {promised, nil, "refused"},
		"clock, which may be":           {promised, func(r *lease.Reject) { r.Reason = lease.ReasonClock }, ""},
		"policy under degree 150":       {"cap(n1 cpu=4 @150) -> t0(alice cpu=2) -> r0(cpu=1)", nil, ""},
		"exhausted, with nothing shown": {promised, func(r *lease.Reject) { r.Sort, r.Reason = lease.Exhausted, lease.ReasonNone }, "unfilled"},
	} {
		t.Run(name, func(t *testing.T) {
			var said bytes.Buffer
			a := &app{home: t.TempDir(), err: &said}
			chain, answer := refusal(t, c.drawing, c.change)
			a.examine(chain, answer)
			a.examine(chain, answer) // the same again is the same file
			files, err := filepath.Glob(filepath.Join(a.home, "proofs", "*.proof"))
			if err != nil || (len(files) == 1) != (c.kind != "") {
				t.Fatalf("kept %v, %v; said %s", files, err, said.String())
			}
			if c.kind == "" {
				return
			}
			if !strings.Contains(said.String(), "croft conflict publish "+files[0]) {
				t.Errorf("said %s", said.String())
			}
			b, err := a.readProof(files[0])
			if err != nil {
				t.Fatal(err)
			}
			if _, shown, err := lease.VerifyProof(b); err != nil || shown.Kind.String() != c.kind || shown.Principal != leasetest.Who("n1") {
				t.Errorf("%+v, %v", shown, err)
			}
			if st, err := os.Stat(files[0]); err != nil || st.Mode().Perm() != 0o600 {
				t.Errorf("%v, %v", st, err)
			}
		})
	}
}

// Who ends a lease must be entitled to: its holder, the slice's owner, the node,
// or one whom a grant lets that is kept here.
func TestWhoEndedALease(t *testing.T) {
	seal := func(st lease.Statement, who string) lease.Signed {
		signed, err := lease.Seal(st, leasetest.Key(who))
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}
	const begin = leasetest.Epoch
	given := seal(&lease.Lease{K: lease.KindLease, Node: leasetest.Who("n1"), Holder: leasetest.Who("alice"), Parent: lease.ID{1}, Hold: lease.ID{2},
		RSet: lease.RSet{lease.CPU: 1}, From: begin, Until: begin + 600, Slice: "web", Pool: lease.PoolCommons, Mechanism: lease.MechanismGang,
		ActivateBy: begin + 60, Grace: 60}, "n1")
	of, err := lease.Open(given.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	grant := seal(&lease.Grant{K: lease.KindGrant, Issuer: leasetest.Who("alice"), Holder: leasetest.Who("carol"), From: begin, Until: begin + 600,
		Slice: "web", Verbs: lease.VerbStop, Sequence: 1}, "alice")
	record, err := lease.SealSlice(lease.SliceRecord{Owner: leasetest.Who("alice"), Slice: "web", Sequence: 1, Made: begin, Until: begin + 600,
		Grants: []lease.ID{grant.ID()}}, leasetest.Key("alice"))
	if err != nil {
		t.Fatal(err)
	}
	shown, err := lease.OpenAuthority(lease.SealAuthority(grant.Bytes(), record.Bytes))
	if err != nil {
		t.Fatal(err)
	}
	grants := []heldGrant{{Authority: shown}}
	for _, c := range []struct {
		who    string
		grants []heldGrant
		claim  lease.ID
		want   string
	}{
		{"alice", nil, of.ID, ""},
		{"carol", grants, of.ID, ""},
		{"carol", nil, of.ID, "closed by " + leasetest.Who("carol").Short()},
		{"mallory", grants, of.ID, "closed by " + leasetest.Who("mallory").Short()},
		{"alice", grants, lease.ID{9}, "ends nothing"},
	} {
		end := seal(&lease.Close{K: lease.KindClose, Issuer: leasetest.Who(c.who), Node: leasetest.Who("n1"), Claim: c.claim, At: begin + 5}, c.who)
		if got := endedBy(of, end.Bytes(), c.grants); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.who, got, c.want)
		}
	}
}
