// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"croft/lease"
	"croft/lease/judge"
)

// proofOf makes the smallest proof there is: node signed two capacities of one
// tranche for the seconds from, until after noon.
func proofOf(t testing.TB, node string, from, until int64, n uint64) []byte {
	t.Helper()
	key := keyOf(node)
	var sealed [2]lease.Opened
	for i := range sealed {
		s, err := lease.Seal(&lease.Capacity{K: lease.KindCapacity, Node: key.Principal(), RSet: lease.RSet{lease.CPU: 2*n + uint64(i) + 1},
			From: noon.Unix() + from, Until: noon.Unix() + until, Degree: lease.MinDegree}, key)
		if err != nil {
			t.Fatal(err)
		}
		if sealed[i], err = lease.Open(s.Bytes()); err != nil {
			t.Fatal(err)
		}
	}
	if bytes.Compare(sealed[0].ID[:], sealed[1].ID[:]) > 0 {
		sealed[0], sealed[1] = sealed[1], sealed[0]
	}
	p := lease.Proof{K: lease.ProofCapacity, Evidence: [][]byte{sealed[0].Signed.Bytes(), sealed[1].Signed.Bytes()}}
	if _, err := p.Verify(); err != nil {
		t.Fatal(err)
	}
	return p.Bytes()
}

// room runs one transcript of a store of proofs.
type room struct {
	*world
	proofs *Proofs
}

func (r *room) step(t *testing.T, in Input) string {
	again, err := ParseInput(in.String(), func(d lease.Digest) ([]byte, bool) {
		for _, b := range r.blobs {
			if blob(b) == d {
				return b, true
			}
		}
		return nil, false
	})
	if err != nil || again.String() != in.String() {
		t.Fatalf("%s parses as %v, %v", in, again, err)
	}
	var out strings.Builder
	for _, e := range r.proofs.Step(r.now, again) {
		fmt.Fprintln(&out, r.readable(e.String()))
	}
	return out.String()
}

// readable puts names where ids, principals and times stand.
func (r *room) readable(s string) string {
	for name, b := range r.blobs {
		if p, err := lease.ParseProof(b); err == nil {
			s = strings.ReplaceAll(s, p.ID().String(), "<"+name+">")
			if r.proofs.cfg.Known == nil {
				continue
			}
			s = strings.ReplaceAll(s, fork{p}.ID().String(), "<"+r.names[fork{p}.Accused()]+">")
		}
	}
	if i := strings.LastIndex(s, " until "); i >= 0 {
		if at, err := strconv.ParseInt(s[i+len(" until "):], 10, 64); err == nil {
			s = s[:i] + " until noon+" + time.Duration((at-noon.Unix())*int64(time.Second)).String()
		}
	}
	return r.world.readable(s)
}

func TestProofTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata/proofs", func(t *testing.T, path string) {
		r := &room{world: &world{now: noon, blobs: map[string][]byte{}, names: map[lease.Principal]string{}}}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string { return r.run(t, d) })
	})
}

// fork is a proof as one that a node has signed two logs: kept one a node, for ever.
type fork struct{ lease.Proof }

func readFork(b []byte) (Evidence, error) {
	p, err := lease.ParseProof(b)
	return fork{p}, err
}

func (f fork) ID() lease.ID { return lease.ID(f.Accused()) }

func (f fork) Accused() (p lease.Principal) {
	if s, err := lease.ParseSigned(f.Evidence[0], lease.MaxStatement); err == nil {
		var c lease.Capacity
		if lease.Decode(s.Payload, &c, lease.MaxStatement) == nil {
			p = c.Node
		}
	}
	return p
}

func (f fork) Shows() (Shown, error) {
	v, err := f.Verify()
	return Shown{Kind: "fork", Accused: v.Principal, Ends: Never}, err
}

// run knows: store [cap=] [bytes=] [burst=] [known=]; recall NAME; proof NAME against= [from=] [until=] [n=];
// spoil NAME of= how=; receive NAME from= [pulled]; local NAME; tick SECONDS;
// list; wake; flood n= from= against=.
func (r *room) run(t *testing.T, d *datadriven.TestData) string {
	arg := func(key, otherwise string) string {
		if d.HasArg(key) {
			d.ScanArgs(t, key, &otherwise)
		}
		return otherwise
	}
	num := func(key string, otherwise int64) int64 {
		n, err := strconv.ParseInt(arg(key, strconv.FormatInt(otherwise, 10)), 10, 64)
		if err != nil {
			d.Fatalf(t, "%v", err)
		}
		return n
	}
	name := ""
	if len(d.CmdArgs) > 0 {
		name = d.CmdArgs[0].Key
	}
	switch d.Cmd {
	case "store":
		cfg := ProofsConfig{Cap: int(num("cap", 0)), Bytes: int(num("bytes", 0)), Burst: int(num("burst", 0))}
		if d.HasArg("known") { // a store of forks
			cfg.Max, cfg.Read = MaxFork, readFork
			nodes := strings.Split(arg("known", ""), "+")
			cfg.Known = func(p lease.Principal) bool {
				return slices.ContainsFunc(nodes, func(name string) bool { return keyOf(name).Principal() == p })
			}
		}
		r.proofs = NewProofs(cfg)
		return ""
	case "proof":
		r.key(arg("against", name))
		r.blobs[name] = proofOf(t, arg("against", name), num("from", 0), num("until", 3600), uint64(num("n", 0)))
		return ""
	case "spoil":
		r.blobs[name] = spoil(t, r.blobs[arg("of", "")], arg("how", ""))
		return ""
	case "receive":
		return r.step(t, Received{r.blobs[name], r.key(arg("from", "peer")).Principal(), d.HasArg("pulled")})
	case "recall":
		r.names[Past] = "the past"
		return r.step(t, Received{r.blobs[name], Past, true})
	case "local":
		return r.step(t, Local{r.blobs[name]})
	case "tick":
		s, err := strconv.Atoi(name)
		if err != nil {
			d.Fatalf(t, "%v", err)
		}
		r.now = r.now.Add(time.Duration(s) * time.Second)
		return r.step(t, Tick{})
	case "flood":
		counts := map[string]int{}
		for i := range num("n", 1) {
			against := arg("against", fmt.Sprintf("%s%d", arg("from", ""), i))
			r.key(against)
			r.blobs[fmt.Sprintf("%s %d", against, i)] = proofOf(t, against, 0, 3600, uint64(i))
			in := Received{r.blobs[fmt.Sprintf("%s %d", against, i)], r.key(arg("from", "")).Principal(), d.HasArg("pulled")}
			for _, e := range r.proofs.Step(r.now, in) {
				switch e := e.(type) {
				case Verdict:
					counts[e.String()]++
				case Forgot:
					counts["forgot "+string(e.Reason)]++
				}
			}
		}
		var lines []string
		for l, n := range counts {
			lines = append(lines, fmt.Sprintf("%d × %s", n, l))
		}
		return sortedLines(lines)
	case "list":
		var lines []string
		for _, p := range r.proofs.Proven() {
			from, ok := r.names[p.From]
			if !ok {
				from = "itself"
			}
			lines = append(lines, r.readable(p.String())+" from "+from)
		}
		return sortedLines(lines)
	case "wake":
		at, ok := r.proofs.NextWake()
		if !ok {
			return "never\n"
		}
		return fmt.Sprintln(at.Sub(r.now))
	}
	d.Fatalf(t, "unknown command %s", d.Cmd)
	return ""
}

// spoil makes a message that is not right of one that is.
func spoil(t *testing.T, of []byte, how string) []byte {
	t.Helper()
	b := bytes.Clone(of)
	switch how {
	case "cut":
		return b[:len(b)-1]
	case "huge":
		return append(b, make([]byte, lease.MaxProof)...)
	case "zeros":
		return make([]byte, 100)
	case "loose": // an array head of one byte more than it needs
		return append([]byte{0x98, b[0] & 0x1f}, b[1:]...)
	}
	p, err := lease.ParseProof(b)
	if err != nil {
		t.Fatal(err)
	}
	switch how {
	case "signature":
		last := p.Evidence[1]
		last[len(last)-1] ^= 1
	case "twice":
		p.Evidence[1] = p.Evidence[0]
	case "kind":
		b := p.Bytes()
		b[1] = 23
		return b
	default:
		t.Fatalf("no way to spoil: %s", how)
	}
	return p.Bytes()
}

func TestProofsArePulledPageByPage(t *testing.T) {
	old, late := NewProofs(ProofsConfig{}), NewProofs(ProofsConfig{})
	const n = 1000
	for i := range n {
		old.Step(noon, Local{Bytes: proofOf(t, fmt.Sprint("liar", i), 0, 60, 0)})
	}
	pull := func() (moved int) {
		for {
			req, err := lease.Encode(ProofPull{Digest: late.Digest()})
			if err != nil {
				t.Fatal(err)
			}
			asked, err := DecodeProofPull(req)
			if err != nil {
				t.Fatal(err)
			}
			for pages := 1; ; pages++ {
				b, err := lease.Encode(old.Page(asked))
				if err != nil {
					t.Fatal(err)
				}
				page, err := DecodeProofPage(b)
				if err != nil {
					t.Fatal(err)
				}
				for _, p := range page.Proofs {
					if v := late.Step(noon, Received{Bytes: p, From: keyOf("neighbour").Principal(), Pulled: true})[0]; v != (Verdict{judge.Accept, judge.None}) {
						t.Fatal(v)
					}
					moved++
				}
				if page.After.IsZero() {
					if pages < 2 {
						t.Fatalf("all in %d page", pages)
					}
					return moved
				}
				asked.After = page.After
			}
		}
	}
	if moved := pull(); moved != n || late.Len() != n || late.Digest() != old.Digest() {
		t.Fatalf("moved %d, %d there, want %d", moved, late.Len(), n)
	}
	if page := old.Page(ProofPull{Digest: late.Digest()}); len(page.Proofs) != 0 {
		t.Fatalf("equal stores move %d proofs", len(page.Proofs))
	}
}

// Whatever a stranger sends, only what proves something is kept, and never more
// than the store holds.
func FuzzProofs(f *testing.F) {
	good := proofOf(f, "liar", 0, 60, 0)
	f.Add(good, []byte{})
	f.Add(good[:len(good)-1], good)
	f.Add(make([]byte, 64), []byte("hello"))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		p := NewProofs(ProofsConfig{Cap: 1})
		from := keyOf("neighbour").Principal()
		for _, m := range [][]byte{a, b, a} {
			effects := p.Step(noon, Received{Bytes: m, From: from})
			verdict, ok := effects[0].(Verdict)
			if !ok {
				t.Fatalf("first effect %v", effects[0])
			}
			parsed, err := lease.ParseProof(m)
			if err == nil {
				_, err = parsed.Verify()
			}
			if verdict.Judgement == judge.Accept && (err != nil || !bytes.Equal(parsed.Bytes(), m)) {
				t.Fatalf("accepted what proves nothing: %v", err)
			}
			if verdict.Judgement == judge.Reject && err == nil && len(m) <= lease.MaxProof {
				t.Fatalf("rejected a proof: %s", verdict)
			}
			if p.Len() > 1 {
				t.Fatalf("%d kept", p.Len())
			}
		}
	})
}
