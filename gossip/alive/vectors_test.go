// SPDX-License-Identifier: Apache-2.0

package alive

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"testing"

	"croft/lease"
	"croft/lease/leasetest"
)

// A vector is bytes that travel, in hex, and what a verifier must say of them.
type vector struct {
	Name      string `json:"name"`
	Note      string `json:"note"`
	Expect    string `json:"expect"`         // "ok" or a word of docs/protocol/alive.md
	Rule      string `json:"rule,omitempty"` // of that page: what is broken
	Suspicion string `json:"suspicion"`
	Shows     string `json:"shows,omitempty"` // where the verdict is ok
}

var rewrite = flag.Bool("rewrite", false, "write testdata/vectors anew")

func TestVectors(t *testing.T) {
	for _, v := range leasetest.Vectors(t, "testdata/vectors/suspicions.json", *rewrite, vectors(t)) {
		b, err := hex.DecodeString(v.Suspicion)
		if err != nil {
			t.Fatal(err)
		}
		s, err := Open(b)
		verdict := leasetest.Word(err)
		if verdict != v.Expect || err == nil && shows(s.Suspicion) != v.Shows {
			t.Errorf("%s (%s): got %s %s (%v), want %s %s", v.Name, v.Note, verdict, shows(s.Suspicion), err, v.Expect, v.Shows)
		}
	}
}

func shows(s Suspicion) string {
	return fmt.Sprintf("suspicion by=%s node=%s sequence=%d made=%d", s.By, s.Node, s.Sequence, s.Made)
}

// loose is a suspicion as it stands, whatever is in it.
type loose struct {
	By       []byte `cbor:"1,keyasint"`
	Node     []byte `cbor:"2,keyasint"`
	Sequence any    `cbor:"3,keyasint"`
	Made     any    `cbor:"4,keyasint"`
}

func vectors(t testing.TB) (list []vector) {
	key := keyOf("alice")
	a, b := key.Principal(), keyOf("bob").Principal()
	good := Suspicion{By: a, Node: b, Sequence: 1_800_000_000_123, Made: noon.Unix()}
	seal := func(domain string, v any) []byte {
		s, err := lease.SealAs(domain, v, key)
		if err != nil {
			t.Fatal(err)
		}
		return s.Bytes()
	}
	add := func(name, expect, rule, note string, b []byte) {
		v := vector{Name: name, Note: note, Expect: expect, Rule: rule, Suspicion: hex.EncodeToString(b)}
		if expect == "ok" {
			s, err := Open(b)
			if err != nil {
				t.Fatal(err)
			}
			v.Shows = shows(s.Suspicion)
		}
		list = append(list, v)
	}
	whole := seal(Domain, good)
	add("good", "ok", "", "as a node makes it", whole)
	add("first", "ok", "", "the least that there may be", seal(Domain, Suspicion{By: a, Node: b, Sequence: 1, Made: 1}))
	add("last", "ok", "", "the most that there may be", seal(Domain, Suspicion{By: a, Node: b, Sequence: 1<<64 - 1, Made: maxUnix}))
	add("empty", "malformed", "V1", "nothing", nil)
	add("long", "too-big", "V1", "193 bytes", make([]byte, MaxSuspicion+1))
	add("tail", "malformed", "V1", "a byte behind it", append(bytes.Clone(whole), 0))
	add("cut", "malformed", "V1", "a byte less", whole[:len(whole)-1])
	add("no-map", "malformed", "V1", "an array for a map", seal(Domain, []int{1, 2, 3, 4}))
	add("short-key", "not-canonical", "V1", "a principal of 31 bytes", seal(Domain, loose{a[:31], b[:], 1, 1}))
	add("text", "malformed", "V1", "the sequence is a text", seal(Domain, loose{a[:], b[:], "1", 1}))
	add("float", "malformed", "V1", "the sequence is half", seal(Domain, loose{a[:], b[:], 0.5, 1}))
	add("negative", "malformed", "V1", "a sequence below 0", seal(Domain, loose{a[:], b[:], -1, 1}))
	long := append([]byte{0xa4, 0x01, 0x58, 0x20}, a[:]...)
	long = append(append(long, 0x02, 0x58, 0x20), b[:]...)
	long = append(long, 0x03, 0x18, 0x01, 0x04, 0x01)
	add("long-one", "not-canonical", "V1", "a 1 in two bytes", lease.Signed{Payload: long, Sig: key.Sign(append([]byte(Domain), long...))}.Bytes())
	add("nobody", "field", "V2", "of a key that is none", seal(Domain, loose{a[:], make([]byte, 32), 1, 1}))
	add("itself", "field", "V2", "of oneself", seal(Domain, Suspicion{By: a, Node: a, Sequence: 1, Made: 1}))
	add("sequence", "field", "V3", "sequence 0", seal(Domain, Suspicion{By: a, Node: b, Made: 1}))
	add("early", "field", "V3", "made before 1970", seal(Domain, Suspicion{By: a, Node: b, Sequence: 1, Made: -1}))
	add("late", "field", "V3", "made in the year 10000", seal(Domain, Suspicion{By: a, Node: b, Sequence: 1, Made: maxUnix + 1}))
	add("domain", "signature", "V4", "signed as an offer", seal("croft/offer/1\n", good))
	add("other", "signature", "V4", "signed by another", seal(Domain, Suspicion{By: b, Node: a, Sequence: 1, Made: 1}))
	flipped := bytes.Clone(whole)
	flipped[20] ^= 1
	add("flipped", "signature", "V4", "a bit of the author's key turned", flipped)
	return list
}

// A verifier in another language, written from docs/protocol/alive.md alone, agrees
// with every vector.
func TestSecondImplementation(t *testing.T) { leasetest.Agrees(t, "../..") }
