// SPDX-License-Identifier: Apache-2.0

package lease_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"croft/lease"
	"croft/lease/leasetest"
	"croft/lease/sign"
)

var rewrite = flag.Bool("rewrite", false, "write testdata/vectors anew")

// A vector is bytes and what a verifier must say of them. One statement is for
// Open; several are a chain for VerifyChain at the node; a wish with an answer
// is for VerifyAnswer, a claim with an end for VerifyEnd. A proof is for
// VerifyProof; a chain with an answer and an attachment for VerifyAttachment. What
// is about slices: see onSlice.
type vector struct {
	Name   string   `json:"name"`
	Note   string   `json:"note"`
	Expect string   `json:"expect"`         // a verdict of leasetest.Verdict
	Rule   string   `json:"rule,omitempty"` // of docs/protocol/claims.md: what is broken, or any of what can be said to be
	Node   string   `json:"node,omitempty"`
	Open   string   `json:"open,omitempty"` // hex, as all that follow
	Chain  []string `json:"chain,omitempty"`
	Wish   string   `json:"wish,omitempty"`
	Answer string   `json:"answer,omitempty"`
	Claim  string   `json:"claim,omitempty"`
	End    string   `json:"end,omitempty"`
	Proof  string   `json:"proof,omitempty"`
	Site   string   `json:"site,omitempty"`
	Filled *string  `json:"attachment,omitempty"` // of the answer to the chain's redeem
	onSlice
	ID     string `json:"id,omitempty"`          // of the statement, leaf or proof, where the verdict is ok
	Blames string `json:"accountable,omitempty"` // by a proof, where the verdict is ok
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
	case v.Site != "":
		s, err := lease.ParseSigned(unhex(v.Site), sign.MaxSiteCert)
		if err == nil {
			_, err = sign.OpenSite(unhex(v.Site))
		}
		return sha256.Sum256(append([]byte(sign.SiteDomain), s.Payload...)), err
	case v.Record != "":
		return v.judgeRecord()
	case v.Authority != "":
		return v.judgeAuthority()
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
	"sites.json":      siteVectors,
	"slices.json":     sliceVectors,
}

func TestVectors(t *testing.T) {
	for name, generate := range vectorFiles {
		file := filepath.Join("testdata/vectors", name)
		for _, v := range leasetest.Vectors(t, file, *rewrite, generate(t)) {
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
	return append(list, oddChains(t)...)
}

// oddChains are those that no drawing shows. A statement that names itself or a
// later one cannot be made, for its id is a hash of what would hold the id; what
// is left of it is a statement that stands twice.
func oddChains(t testing.TB) (list []vector) {
	draw := func(drawing string) [][]byte { return leasetest.Draw(t, drawing).Last().Chain() }
	odd := func(name, expect, rule, note string, chain [][]byte) {
		v := vector{Name: name, Note: note, Expect: expect, Rule: rule, Node: leasetest.Who("n1").String()}
		for _, b := range chain {
			v.Chain = append(v.Chain, hex.EncodeToString(b))
		}
		if expect == "ok" {
			leaf, err := lease.Open(chain[len(chain)-1])
			if err != nil {
				t.Fatal(err)
			}
			v.ID = leaf.ID.String()
		}
		list = append(list, v)
	}
	full := "cap(n1 cpu=4)" + strings.Repeat(" -> t0(n1)", lease.MaxDepth-1)
	odd("deep", "ok", "", "sixteen claims and a redeem", draw(full+" -> r0()"))
	odd("over-deep", "depth", "C1", "seventeen claims", draw(full+" -> t0(n1)"))
	odd("over-deep-redeem", "depth", "C1", "seventeen claims and a redeem", draw(full+" -> t0(n1) -> r0()"))
	odd("over-long", "depth", "C1", "a hundred times the same statement", slices.Repeat(draw("cap(n1 cpu=4)"), 100))

	three := draw("cap(n1 cpu=4) -> t0(n1) -> t0(n1) -> r0()")
	odd("headless", "chain", "C2", "the capacity is missing", three[1:])
	odd("self-parented", "chain", "C3", "a ticket under itself", [][]byte{three[0], three[1], three[1]})
	odd("cyclic", "chain", "C3", "two tickets by turns", [][]byte{three[0], three[1], three[2], three[1]})
	odd("upside-down", "chain", "C2", "leaf first", [][]byte{three[3], three[2], three[1], three[0]})
	odd("gap", "chain", "C3", "a ticket is missing", [][]byte{three[0], three[2], three[3]})
	odd("mixed-node", "wrong-node", "C4", "the upper half is of another node",
		append(draw("cap(n2 cpu=4) -> t0(n1)"), three[2:]...))

	change := func(i int, b []byte) [][]byte {
		out := slices.Clone(three)
		out[i] = b
		return out
	}
	odd("truncated", "syntax", "C9", "a byte is missing in the midst", change(1, three[1][:len(three[1])-1]))
	odd("forged", "signature", "C9", "a bit of the last signature", change(3, append(three[3][:len(three[3])-1:len(three[3])-1], three[3][len(three[3])-1]^1)))
	ticket := leasetest.Draw(t, "cap(n1 cpu=4) -> t0(n1)").Last()
	other, err := lease.SealAs("croft/offer/1\n", ticket.Statement, leasetest.Key("n1"))
	if err != nil {
		t.Fatal(err)
	}
	odd("wrong-domain", "signature", "C9", "a ticket signed as an offer", [][]byte{three[0], other.Bytes()})
	long := slices.Concat([]byte{0x82, 0x59, 0, byte(len(ticket.Signed.Payload))}, ticket.Signed.Payload, bstr(ticket.Signed.Sig))
	odd("non-canonical", "not-canonical", "C9", "a length in two bytes where one does", [][]byte{three[0], long})
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
		} else {
			v.Rule, _, _ = strings.Cut(note, ":")
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
		if len(c.bytes) == 0 || len(c.bytes) > lease.MaxProof {
			continue // nothing, or too long, to write down
		}
		note := c.note
		if !strings.HasPrefix(note, "P") {
			note = "P1: " + note
		}
		add("bytes", note, c.verdict, c.bytes)
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

// of gives the id of what verifies; what does not has the rule that it breaks.
func (v vector) of(d *leasetest.Drawn) vector {
	if v.Expect == "ok" {
		v.ID = d.ID.String()
	} else {
		v.Rule, _, _ = strings.Cut(v.Note, ":")
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
		"cap(n1 cpu=4 lead=9600h)",
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
		"ask(alice n1 cpu=500) -> reject(local:bound text=zu-viele-für-einen-Anspruch)",
		"cap(n1 cpu=4) -> t0(alice) -> r0(owner=bob)",
		"ask(alice n1 cpu=500 owner=bob pool=share weight=1000) -> lease(grace=60s mechanism=share activate=24h)",
		"ask(alice n1 cpu=500 pool=calendar exclusive=1) -> lease(mechanism=calendar)",
		"ask(alice n1 cpu=500) -> hold(commit=24h)",
		"ask(alice n1 cpu=500) -> lease(grace=60s) -> revoke(said=1h at=2h text=going-down)",
		"grant(alice bob slice= verbs=1 sequence=18446744073709551615 0h..9600h)",
		"cap(n1 cpu=4 fanout=1024) -> t0(alice fanout=300) -> r0(fanout=1) -> lease()",
		"ask(alice n1 cpu=500 fanout=256)",
		"ask(alice n1 cpu=500 pool=auction bid=12)",
	} {
		d := leasetest.Draw(t, drawing).Last()
		list = append(list, vector{Name: fmt.Sprintf("%s-%02d", d.Kind(), len(list)), Note: drawing, Expect: "ok",
			Open: hex.EncodeToString(d.Signed.Bytes()), ID: d.ID.String()})
	}
	return list
}
