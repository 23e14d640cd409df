// SPDX-License-Identifier: Apache-2.0

package lease_test

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"croft/lease"
	"croft/lease/leasetest"
)

// corpus gives every vector to the fuzzer as a seed.
func corpus(f *testing.F, add func(vector)) {
	files, err := filepath.Glob("testdata/vectors/*.json")
	if err != nil || len(files) == 0 {
		f.Fatalf("no vectors: %v", err)
	}
	for _, file := range files {
		for _, v := range readVectors(f, file) {
			add(v)
		}
	}
}

// single lists the statements of a vector one by one.
func (v vector) single() (list [][]byte) {
	for _, s := range append([]string{v.Open, v.Wish, v.Answer, v.Claim, v.End}, v.Chain...) {
		if s != "" {
			list = append(list, unhex(s))
		}
	}
	return list
}

// What opens is canonical: it travels on as the same bytes, under the same id.
func FuzzOpen(f *testing.F) {
	corpus(f, func(v vector) {
		for _, b := range v.single() {
			f.Add(b)
		}
	})
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := lease.Open(b)
		if err != nil {
			if strings.HasPrefix(leasetest.Verdict(err), "other") {
				t.Errorf("error of no known sort: %v", err)
			}
			return
		}
		if !bytes.Equal(o.Signed.Bytes(), b) {
			t.Error("opened from bytes that it is not written as")
		}
		again, err := lease.Encode(o.Statement)
		if err != nil || !bytes.Equal(again, o.Signed.Payload) {
			t.Errorf("encodes as %x, %v, not %x", again, err, o.Signed.Payload)
		}
	})
}

// Decode is reached by a payload before its signature is looked at.
func FuzzDecode(f *testing.F) {
	corpus(f, func(v vector) {
		for _, b := range v.single() {
			if s, err := lease.ParseSigned(b, lease.MaxStatement); err == nil {
				f.Add(s.Payload)
			}
		}
	})
	blanks := []func() lease.Statement{
		func() lease.Statement { return new(lease.Capacity) }, func() lease.Statement { return new(lease.Ticket) },
		func() lease.Statement { return new(lease.Redeem) }, func() lease.Statement { return new(lease.Ask) },
		func() lease.Statement { return new(lease.Hold) }, func() lease.Statement { return new(lease.Lease) },
		func() lease.Statement { return new(lease.Close) }, func() lease.Statement { return new(lease.Revoke) },
		func() lease.Statement { return new(lease.Reject) }, func() lease.Statement { return new(lease.Grant) },
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, blank := range blanks {
			st := blank()
			if lease.Decode(b, st, lease.MaxStatement) != nil {
				continue
			}
			if again, err := lease.Encode(st); err != nil || !bytes.Equal(again, b) {
				t.Errorf("%T encodes as %x, %v, not %x", st, again, err, b)
			}
		}
	})
}

// A chain that verifies holds every rule, read here a second time from the
// statements themselves.
func FuzzVerifyChain(f *testing.F) {
	corpus(f, func(v vector) {
		if len(v.Chain) == 3 {
			c := unhexAll(v.Chain)
			f.Add(c[0], c[1], c[2])
		}
	})
	n1 := leasetest.Who("n1")
	f.Fuzz(func(t *testing.T, root, middle, last []byte) {
		chain, err := lease.VerifyChain([][]byte{root, middle, last}, n1)
		if err != nil {
			if strings.HasPrefix(leasetest.Verdict(err), "other") {
				t.Errorf("error of no known sort: %v", err)
			}
			return
		}
		up := chain.Link(1).Statement.(*lease.Ticket)
		c := chain.Root()
		if up.Issuer != c.Node || up.Parent != chain.Link(0).ID || !up.RSet.Within(c.RSet) || !up.Term().Within(c.Term()) || up.Degree > c.Degree {
			t.Errorf("ticket %+v under %+v", up, c)
		}
		if wish, on, ok := chain.Redeem(); ok && (on != up || wish.Issuer != up.Holder || wish.Node != n1 || !wish.RSet.Within(up.RSet) || !wish.Term().Within(up.Term())) {
			t.Errorf("redeem %+v under %+v", wish, up)
		}
	})
}

// A proof that parses travels as the same bytes; one that holds blames a key that
// signed its evidence.
func FuzzProof(f *testing.F) {
	corpus(f, func(v vector) {
		if v.Proof != "" {
			f.Add(unhex(v.Proof))
		}
	})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, verdict, err := lease.VerifyProof(b)
		if err != nil {
			if strings.HasPrefix(leasetest.Verdict(err), "other") {
				t.Errorf("error of no known sort: %v", err)
			}
			if p, err := lease.ParseProof(b); err == nil && !bytes.Equal(p.Bytes(), b) {
				t.Error("read from bytes that it is not written as")
			}
			return
		}
		if !bytes.Equal(p.Bytes(), b) {
			t.Error("read from bytes that it is not written as")
		}
		said := false
		for _, e := range p.Evidence {
			o, err := lease.Open(e)
			said = said || err == nil && o.By() == verdict.Principal
		}
		if !said || verdict.Term.Seconds() == 0 {
			t.Errorf("verdict %+v", verdict)
		}
	})
}

// A filling that fills, read here a second time: nothing but leases and holds of
// others, more than there is room for.
func FuzzFilling(f *testing.F) {
	corpus(f, func(v vector) {
		if v.Filled != nil {
			f.Add(unhex(*v.Filled))
		}
	})
	d := leasetest.Draw(f, filled+"reject(exhausted about=1 lacks=cpu instant=1h) }").Last()
	asker, err := lease.VerifyChain(d.Up.Chain(), leasetest.Who("n1"))
	if err != nil {
		f.Fatal(err)
	}
	wish, on, _ := asker.Redeem()
	f.Fuzz(func(t *testing.T, b []byte) {
		draws, err := lease.ParseFilling(b)
		if err == nil && !bytes.Equal(draws.Bytes(), b) {
			t.Error("read from bytes that it is not written as")
		}
		if err == nil {
			err = lease.VerifyFilling(asker, d.Statement.(*lease.Reject), draws)
		}
		if err != nil {
			if strings.HasPrefix(leasetest.Verdict(err), "other") {
				t.Errorf("error of no known sort: %v", err)
			}
			return
		}
		sum := wish.RSet[lease.CPU]
		for _, entry := range draws {
			o, err := lease.Open(entry[len(entry)-2])
			redeem, ok := o.Statement.(*lease.Redeem)
			if err != nil || !ok || redeem.Issuer != on.Holder {
				t.Fatalf("draw %v, %v", o.Statement, err)
			}
			sum += redeem.RSet[lease.CPU]
		}
		if sum <= on.RSet[lease.CPU] {
			t.Errorf("%d of %d", sum, on.RSet[lease.CPU])
		}
	})
}

// What parses prints in a form that parses to the same.
func FuzzParseRSet(f *testing.F) {
	for _, s := range []string{"", "cpu=1", "cpu=500,memory=256MiB egress.rate=5mbit", "cpu=0", "cpu=-1", "cpu=1 cpu=2",
		"memory=18446744073709551615", "memory=18446744073709551615KiB", "cpu", "=", "gpu=1", "cpu=1e3", "cpu=１", "pids=2K"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		set, err := lease.ParseRSet(s)
		if err != nil {
			if strings.HasPrefix(leasetest.Verdict(err), "other") {
				t.Errorf("error of no known sort: %v", err)
			}
			return
		}
		again, err := lease.ParseRSet(set.String())
		if err != nil || again != set {
			t.Errorf("%q prints as %q, which reads as %v, %v", s, set, again, err)
		}
		b, err := set.MarshalCBOR()
		if err != nil {
			t.Fatal(err)
		}
		var wire lease.RSet
		if err := wire.UnmarshalCBOR(b); err != nil || wire != set {
			t.Errorf("%q travels as %x, which reads as %v, %v", s, b, wire, err)
		}
	})
}
