// SPDX-License-Identifier: Apache-2.0

package lease_test

import (
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"croft/lease"
	"croft/lease/leasetest"
)

var rewrite = flag.Bool("rewrite", false, "write testdata/vectors anew")

// A vector is bytes and what a verifier must say of them. One statement is for
// Open; several are a chain for VerifyChain at the node; a wish with an answer
// is for VerifyAnswer, a claim with an end for VerifyEnd. A proof is for
// VerifyProof; a chain with an answer and an attachment for VerifyAttachment.
type vector struct {
	Name   string   `json:"name"`
	Note   string   `json:"note"`
	Expect string   `json:"expect"` // a verdict of leasetest.Verdict
	Node   string   `json:"node,omitempty"`
	Open   string   `json:"open,omitempty"` // hex, as all that follow
	Chain  []string `json:"chain,omitempty"`
	Wish   string   `json:"wish,omitempty"`
	Answer string   `json:"answer,omitempty"`
	Claim  string   `json:"claim,omitempty"`
	End    string   `json:"end,omitempty"`
	Proof  string   `json:"proof,omitempty"`
	Filled *string  `json:"attachment,omitempty"`  // of the answer to the chain's redeem
	ID     string   `json:"id,omitempty"`          // of the statement, leaf or proof, where the verdict is ok
	Blames string   `json:"accountable,omitempty"` // by a proof, where the verdict is ok
}

func (v vector) judge() (lease.ID, error) {
	var last lease.Opened
	var err error
	switch {
	case v.Proof != "":
		p, verdict, err := lease.VerifyProof(unhex(v.Proof))
		if err == nil && verdict.Principal.String() != v.Blames {
			err = fmt.Errorf("accuses %s", verdict.Principal)
		}
		return p.ID(), err
	case v.Filled != nil:
		return v.judgeFilling()
	case v.Chain != nil:
		var node lease.Principal
		if node, err = lease.ParsePrincipal(v.Node); err != nil {
			return lease.ID{}, fmt.Errorf("vector's node: %v", err)
		}
		var chain lease.Chain
		if chain, err = lease.VerifyChain(unhexAll(v.Chain), node); err == nil {
			last = chain.Leaf()
		}
	case v.Wish != "":
		var wish lease.Opened
		if wish, err = lease.Open(unhex(v.Wish)); err == nil {
			last, err = lease.VerifyAnswer(wish, unhex(v.Answer))
		}
	case v.Claim != "":
		var claim lease.Opened
		if claim, err = lease.Open(unhex(v.Claim)); err == nil {
			last, err = lease.VerifyEnd(claim, unhex(v.End))
		}
	default:
		last, err = lease.Open(unhex(v.Open))
	}
	return last.ID, err
}

func (v vector) judgeFilling() (lease.ID, error) {
	node, err := lease.ParsePrincipal(v.Node)
	if err != nil {
		return lease.ID{}, err
	}
	chain, err := lease.VerifyChain(unhexAll(v.Chain), node)
	if err != nil {
		return lease.ID{}, fmt.Errorf("vector's chain: %v", err)
	}
	answer, err := lease.VerifyAnswer(chain.Leaf(), unhex(v.Answer))
	if err != nil {
		return lease.ID{}, fmt.Errorf("vector's answer: %v", err)
	}
	return answer.ID, lease.VerifyAttachment(chain, answer.Statement.(*lease.Reject), unhex(*v.Filled))
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err) // the file is ours
	}
	return b
}

func unhexAll(list []string) (out [][]byte) {
	for _, s := range list {
		out = append(out, unhex(s))
	}
	return out
}

// The files, each with what makes it.
var vectorFiles = map[string]func(testing.TB) []vector{
	"statements.json": statementVectors,
	"hostile.json":    hostileVectors,
	"chains.json":     chainVectors,
	"answers.json":    answerVectors,
	"proofs.json":     proofVectors,
	"fillings.json":   fillingVectors,
}

func TestVectors(t *testing.T) {
	for name, generate := range vectorFiles {
		file := filepath.Join("testdata/vectors", name)
		want, err := json.MarshalIndent(generate(t), "", " ")
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, '\n')
		if *rewrite {
			if err := os.WriteFile(file, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Errorf("%s is not what the test makes: if the protocol changed on purpose, run with -rewrite", name)
		}
		for _, v := range readVectors(t, file) {
			id, err := v.judge()
			if verdict := leasetest.Verdict(err); verdict != v.Expect {
				t.Errorf("%s: %s (%s): got %s (%v), want %s", name, v.Name, v.Note, verdict, err, v.Expect)
			}
			if err == nil && id.String() != v.ID {
				t.Errorf("%s: %s: id %s, want %s", name, v.Name, id, v.ID)
			}
		}
	}
}

func readVectors(t testing.TB, file string) (list []vector) {
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &list); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return list
}

func chainVectors(t testing.TB) (list []vector) {
	for i, c := range chains {
		d := leasetest.Draw(t, c.drawing).Last()
		v := vector{Name: fmt.Sprintf("chain-%02d", i), Note: c.rule + ": " + c.drawing, Expect: c.verdict, Node: leasetest.Who("n1").String()}
		for _, b := range d.Chain() {
			v.Chain = append(v.Chain, hex.EncodeToString(b))
		}
		list = append(list, v.of(d))
	}
	return list
}

func answerVectors(t testing.TB) (list []vector) {
	for i, c := range answers {
		d := leasetest.Draw(t, c.drawing).Last()
		v := vector{Name: fmt.Sprintf("answer-%02d", i), Note: c.rule + ": " + c.drawing, Expect: c.verdict,
			Wish: hex.EncodeToString(d.Up.Signed.Bytes()), Answer: hex.EncodeToString(d.Signed.Bytes())}
		list = append(list, v.of(d))
	}
	for i, c := range ends {
		d := leasetest.Draw(t, c.drawing).Last()
		v := vector{Name: fmt.Sprintf("end-%02d", i), Note: c.rule + ": " + c.drawing, Expect: c.verdict,
			Claim: hex.EncodeToString(d.Up.Signed.Bytes()), End: hex.EncodeToString(d.Signed.Bytes())}
		list = append(list, v.of(d))
	}
	return list
}

func proofVectors(t testing.TB) (list []vector) {
	add := func(name, note, expect string, b []byte) {
		v := vector{Name: fmt.Sprintf("%s-%02d", name, len(list)), Note: note, Expect: expect, Proof: hex.EncodeToString(b)}
		if p, verdict, err := lease.VerifyProof(b); err == nil {
			v.ID, v.Blames = p.ID().String(), verdict.Principal.String()
		}
		list = append(list, v)
	}
	for _, c := range proofs {
		p, err := leasetest.Draw(t, c.drawing).Proof(c.proof)
		if err != nil {
			t.Fatal(err)
		}
		add(p.K.String(), c.rule+": "+c.proof+" of "+c.drawing, c.verdict, p.Bytes())
	}
	for _, c := range proofBytes(t) {
		if len(c.bytes) > lease.MaxProof {
			continue // too long to write down
		}
		add("bytes", "P1: "+c.note, c.verdict, c.bytes)
	}
	return list
}

func fillingVectors(t testing.TB) (list []vector) {
	for i, c := range fillings {
		d := leasetest.Draw(t, c.drawing).Last()
		attached := hex.EncodeToString(d.Attachment)
		v := vector{Name: fmt.Sprintf("filling-%02d", i), Note: c.rule + ": " + c.drawing, Expect: c.verdict, Node: leasetest.Who("n1").String(),
			Answer: hex.EncodeToString(d.Signed.Bytes()), Filled: &attached}
		for _, b := range d.Up.Chain()[rootOf(d.Up):] {
			v.Chain = append(v.Chain, hex.EncodeToString(b))
		}
		list = append(list, v.of(d))
	}
	return list
}

func (v vector) of(d *leasetest.Drawn) vector {
	if v.Expect == "ok" {
		v.ID = d.ID.String()
	}
	return v
}

// One of each kind, small and large.
func statementVectors(t testing.TB) (list []vector) {
	const all = "cpu=4000 memory=8GiB disk=100GiB pids=4096 io=100MiB egress.rate=1gbit ingress.rate=1gbit " +
		"egress.packets=100k ingress.packets=100k egress.daily=1TiB flows.new=1000 flows.live=10k ports.in=16 ports.out=1024"
	for _, drawing := range []string{
		"cap(n1 cpu=1)",
		"cap(n1 " + all + " @10000 0h..9600h tranche=15)",
		"cap(n1 cpu=4) -> t0(alice)",
		"cap(n1 " + all + ") -> t63(alice)",
		"cap(n1 cpu=4) -> t0(alice) -> r0()",
		"cap(n1 " + all + ") -> t0(alice) -> r63(" + all + " slice=" + strings.Repeat("a", lease.MaxLabel) + " request=9 port=tcp/:22 port=udp/53:53 replaces=0)",
		"ask(alice n1 cpu=500)",
		"ask(alice n1 cpu=500 pool=lab slice=web-1 ports.in=1 port=tcp/443:8443)",
		"ask(alice n1 cpu=500) -> hold()",
		"ask(alice n1 cpu=500) -> lease()",
		"ask(alice n1 cpu=500) -> lease() -> ask(alice n1 cpu=700 replaces=1) -> lease()",
		"ask(alice n1 cpu=500) -> lease() -> close()",
		"ask(alice n1 cpu=500) -> lease() -> revoke()",
		"ask(alice n1 cpu=500 weight=4 owner=carol exclusive=1)",
		"ask(alice n1 cpu=500 weight=1000) -> lease(mechanism=share grace=20s)",
		"ask(alice n1 cpu=500) -> reject(exhausted)",
		"ask(alice n1 cpu=500) -> reject(oversubscribed about=0 lacks=ports.out instant=1h attached=x)",
		"ask(alice n1 cpu=500) -> reject(local:bound)",
		"grant(alice bob slice=web verbs=127 sequence=3)",
		"ask(alice n1 cpu=500) -> reject(local:invalid)",
	} {
		d := leasetest.Draw(t, drawing).Last()
		list = append(list, vector{Name: fmt.Sprintf("%s-%02d", d.Kind(), len(list)), Note: drawing, Expect: "ok",
			Open: hex.EncodeToString(d.Signed.Bytes()), ID: d.ID.String()})
	}
	return list
}
